import subprocess, os, asyncio, time
from io import BytesIO
from tests.support import sdk
RULES = """
bots:
  b:
    allow:
      - {route: gemini, presets: [inference, read], models: [gemini-x]}
      - {route: discord, presets: [read, send], channels: ["42"]}
      - {route: slack, presets: [read, send], channels: [C1]}
  lim:
    limits: [{requests: 1, per: second}]
    allow: [discord, slack]
  long:
    limits: [{requests: 1, per: hour}]
    allow: [discord, slack]
"""
def t(n, f):
    a=time.time()
    try: r=f(); print(n,"ok",repr(r)[:80], round(time.time()-a,1))
    except Exception as e: print(n,type(e).__name__,str(e)[-330:], round(time.time()-a,1))
HIK="""
import asyncio,sys,hikari,time
async def main(u,t):
    app=hikari.RESTApp(url=u+"/api/v10"); await app.start()
    async with app.acquire(t,"Bot") as client:
        async def go(n,f):
            a=time.time()
            try: print(n,"ok",repr(await f())[:60], round(time.time()-a,1))
            except Exception as e: print(n,type(e).__name__,str(e)[:250], round(time.time()-a,1))
        await go("send", lambda: client.create_message(42,"hi"))
        await go("send2", lambda: client.create_message(42,"hi"))
        await go("react", lambda: client.add_reaction(42,7,"👍"))
        await go("send other", lambda: client.create_message(43,"hi"))
        await go("gw", client.fetch_gateway_bot_info)
    await app.close()
asyncio.run(main(*sys.argv[1:]))
"""
def test_e2e(launcher, demo):
    r=launcher(more=RULES, shapes=("plain","discord"))
    c=sdk.build("gemini","google-genai",r.base("gemini"),r.token("b"))
    t("gen",lambda:c.models.generate_content(model="gemini-x",contents="hi").text)
    t("gen other",lambda:c.models.generate_content(model="gemini-y",contents="hi").text)
    t("inter",lambda:c.interactions.create(model="gemini-x",input="hi").status)
    t("inter other",lambda:c.interactions.create(model="gemini-y",input="hi").status)
    t("list",lambda:len(list(c.models.list())))
    t("token",lambda:c.auth_tokens.create())
    w=sdk.build("slack","slack_sdk",r.base("slack"),r.token("b"))
    t("post",lambda:w.chat_postMessage(channel="C1",text="x")["ok"])
    t("post2",lambda:w.chat_postMessage(channel="C2",text="x")["ok"])
    t("upload",lambda:w.files_upload_v2(channel="C1",content="x",filename="a")["ok"])
    t("upload2",lambda:w.files_upload_v2(channel="C2",content="x",filename="a")["ok"])
    t("open",lambda:w.apps_connections_open(app_token=r.token("b"))["ok"])
    t("invite",lambda:w.conversations_invite(channel="C1",users="U")["ok"])
    for b in ("lim","long"):
        w=sdk.build("slack","slack_sdk",r.base("slack"),r.token(b))
        t(b,lambda:w.auth_test()["ok"]); t(b,lambda:w.auth_test()["ok"])
    async def d():
        client=sdk.build("discord","discord.py",r.base("discord"),r.token("b"))
        async def go(n,f):
            a=time.time()
            try: print("dpy",n,"ok",repr(await f())[:60],round(time.time()-a,1))
            except Exception as e: print("dpy",n,type(e).__name__,str(e)[:250],round(time.time()-a,1))
        async with client:
            await go("login",lambda: client.login(r.token("b")))
            ch=client.get_partial_messageable(42)
            await go("send",lambda: ch.send("x",file=__import__("discord").File(BytesIO(b"x"),"a")))
            m=await ch.send("y")
            await go("react",lambda: m.add_reaction("👍"))
            await go("other",lambda: client.get_partial_messageable(43).send("x"))
            await go("gw",lambda: client.http.get_bot_gateway())
    asyncio.run(d())
    for b in ("b","lim","long"):
        print(b, subprocess.run([os.environ["HIK"],"-c",HIK,r.base("discord"),r.token(b,"discord")],capture_output=True,text=True,timeout=50).stdout)

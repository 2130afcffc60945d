FROM python:3.13.16-slim-bookworm AS build
COPY requirements/run.txt /tmp/run.txt
RUN python -m venv --without-pip /opt/gateway \
    && pip --python /opt/gateway/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /tmp/run.txt
COPY gateway /opt/gateway/app/gateway
RUN echo /opt/gateway/app > "$(echo /opt/gateway/lib/python3*/site-packages)/gateway.pth" \
    && printf '#!/bin/sh\nexec /opt/gateway/bin/python -m gateway "$@"\n' > /opt/gateway/bin/gateway \
    && chmod 755 /opt/gateway/bin/gateway \
    && /opt/gateway/bin/python -m compileall -q /opt/gateway

FROM python:3.13.16-slim-bookworm
RUN useradd --uid 10001 --home-dir /var/lib/gateway --create-home --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /var/lib/gateway
VOLUME /var/lib/gateway
EXPOSE 8080 9091
# Not urllib: it would ask the proxy that HTTP_PROXY names.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9091, timeout=2); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["run", "--config", "/etc/gateway/routes.yaml"]

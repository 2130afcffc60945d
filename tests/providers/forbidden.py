"""What no preset may hold: operations that administer, bill, hand out keys or train.

From the documentation of each provider and the SDKs that its tests use. `ID` stands for any name.
"""

from __future__ import annotations

FORBIDDEN = {
    "openai": """
        GET /v1/organization/admin_api_keys
        POST /v1/organization/admin_api_keys
        DELETE /v1/organization/admin_api_keys/ID
        GET /v1/organization/audit_logs
        POST /v1/organization/certificates/activate
        GET /v1/organization/costs
        GET /v1/organization/usage/completions
        GET /v1/organization/usage/embeddings
        POST /v1/organization/data_retention
        POST /v1/organization/external_keys
        POST /v1/organization/groups/ID/users
        POST /v1/organization/invites
        POST /v1/organization/projects
        POST /v1/organization/projects/ID
        GET /v1/organization/projects/ID/api_keys
        POST /v1/organization/projects/ID/archive
        POST /v1/organization/projects/ID/model_permissions
        POST /v1/organization/projects/ID/rate_limits/ID
        POST /v1/organization/projects/ID/service_accounts
        POST /v1/organization/projects/ID/service_accounts/ID/api_keys
        POST /v1/organization/projects/ID/spend_limit
        POST /v1/organization/projects/ID/users
        POST /v1/organization/roles
        POST /v1/organization/spend_alerts
        POST /v1/organization/spend_limit
        DELETE /v1/organization/users/ID
        POST /v1/organization/workload_identity_providers
        POST /v1/projects/ID/roles
        POST /v1/projects/ID/users/ID/roles
        GET /v1/dashboard/billing/subscription
        GET /v1/dashboard/billing/credit_grants
        GET /v1/usage
        POST /v1/fine_tuning/jobs
        GET /v1/fine_tuning/jobs
        GET /v1/fine_tuning/jobs/ID
        POST /v1/fine_tuning/jobs/ID/cancel
        POST /v1/fine_tuning/jobs/ID/resume
        GET /v1/fine_tuning/checkpoints/ID/permissions
        POST /v1/fine_tuning/alpha/graders/run
        POST /v1/fine-tunes
        POST /v1/fine-tunes/ID/cancel
        DELETE /v1/models/ID
        POST /v1/realtime/client_secrets
        POST /v1/realtime/sessions
        POST /v1/realtime/transcription_sessions
        POST /v1/realtime/translations/client_secrets
        POST /v1/chatkit/sessions
        POST /v1/vaults/ID/credentials
        GET /v1/vaults/ID/credentials/ID
        POST /v1/webhook_endpoints
        POST /v1/webhook_endpoints/ID/rotate_secret
    """,
    "anthropic": """
        GET /v1/organizations/me
        GET /v1/organizations/api_keys
        POST /v1/organizations/api_keys/ID
        GET /v1/organizations/cost_report
        GET /v1/organizations/invites
        POST /v1/organizations/invites
        GET /v1/organizations/usage_report/messages
        GET /v1/organizations/usage_report/claude_code
        GET /v1/organizations/users
        POST /v1/organizations/users/ID
        POST /v1/organizations/workspaces
        POST /v1/organizations/workspaces/ID/archive
        POST /v1/organizations/workspaces/ID/members
        GET /v1/organization/rate_limits
        POST /v1/oauth/token
        POST /v1/vaults
        POST /v1/vaults/ID/credentials
        POST /v1/tunnels/ID/reveal_token
        POST /v1/tunnels/ID/rotate_token
        POST /v1/tunnels/ID/certificates
        POST /v1/user_profiles/ID/enrollment_url
        POST /v1/fine_tunes
    """,
    "gemini": """
        POST /v1alpha/auth_tokens
        POST /v1beta/auth_tokens
        POST /v1/tuningJobs
        POST /v1beta/tunedModels
        GET /v1beta/tunedModels
        GET /v1beta/tunedModels/ID
        PATCH /v1beta/tunedModels/ID
        DELETE /v1beta/tunedModels/ID
        POST /v1beta/tunedModels/ID:transferOwnership
        POST /v1beta/tunedModels/ID/permissions
        PATCH /v1beta/tunedModels/ID/permissions/ID
        POST /v1beta/corpora/ID/permissions
        POST /v1beta/credentials
        GET /v1beta/credentials/ID
        POST /v1beta/webhooks
        POST /v1beta/webhooks/ID:rotateSigningSecret
        POST /v1beta/files:register
        DELETE /v1beta/models/ID
        PATCH /v1beta/models/ID
        POST /v1beta/models/ID:tune
    """,
    "telegram": """
        getManagedBotToken replaceManagedBotToken getManagedBotAccessSettings
        setManagedBotAccessSettings logOut close setWebhook
        banChatMember banChatSenderChat unbanChatMember restrictChatMember promoteChatMember
        setChatAdministratorCustomTitle setChatPermissions setChatPhoto deleteChatPhoto
        setChatTitle setChatDescription setChatMenuButton setChatStickerSet leaveChat
        exportChatInviteLink createChatInviteLink createChatSubscriptionInviteLink
        editChatInviteLink revokeChatInviteLink approveChatJoinRequest declineChatJoinRequest
        setMyName setMyDescription setMyShortDescription setMyDefaultAdministratorRights
        setMyProfilePhoto createForumTopic deleteForumTopic verifyUser verifyChat
        sendGift sendInvoice sendPaidMedia giftPremiumSubscription createInvoiceLink
        answerShippingQuery answerPreCheckoutQuery refundStarPayment editUserStarSubscription
        getMyStarBalance getStarTransactions getBusinessAccountStarBalance
        transferBusinessAccountStars transferGift upgradeGift convertGiftToStars
        setBusinessAccountName setBusinessAccountBio readBusinessMessage deleteBusinessMessages
        setPassportDataErrors setUserEmojiStatus postStory approveSuggestedPost
    """,
    "discord": """
        PATCH /api/v10/applications/@me
        PATCH /api/v10/users/@me
        POST /api/v10/applications/ID/commands
        PUT /api/v10/applications/ID/commands
        GET /api/v10/applications/ID/entitlements
        POST /api/v10/applications/ID/entitlements
        GET /api/v10/applications/ID/skus
        GET /api/v10/skus/ID/subscriptions
        POST /api/v10/auth/logout
        POST /api/v10/oauth2/token
        POST /api/v10/oauth2/token/revoke
        POST /api/v10/guilds
        PATCH /api/v10/guilds/ID
        DELETE /api/v10/guilds/ID
        GET /api/v10/guilds/ID/audit-logs
        GET /api/v10/guilds/ID/bans
        PUT /api/v10/guilds/ID/bans/ID
        POST /api/v10/guilds/ID/bulk-ban
        POST /api/v10/guilds/ID/channels
        GET /api/v10/guilds/ID/integrations
        GET /api/v10/guilds/ID/invites
        POST /api/v10/guilds/ID/mfa
        PATCH /api/v10/guilds/ID/members/ID
        DELETE /api/v10/guilds/ID/members/ID
        PUT /api/v10/guilds/ID/members/ID/roles/ID
        POST /api/v10/guilds/ID/prune
        POST /api/v10/guilds/ID/roles
        PATCH /api/v10/guilds/ID/roles/ID
        GET /api/v10/guilds/ID/vanity-url
        GET /api/v10/guilds/ID/webhooks
        PATCH /api/v10/channels/ID
        DELETE /api/v10/channels/ID
        PUT /api/v10/channels/ID/permissions/ID
        POST /api/v10/channels/ID/invites
        POST /api/v10/channels/ID/followers
        POST /api/v10/channels/ID/messages/bulk-delete
        GET /api/v10/channels/ID/webhooks
        POST /api/v10/channels/ID/webhooks
        GET /api/v10/webhooks/ID
        DELETE /api/v10/webhooks/ID
        GET /api/v10/gateway
        GET /api/v10/gateway/bot
    """,
    "slack": """
        admin.apps.approve admin.conversations.create admin.teams.create admin.users.invite
        admin.users.setAdmin admin.users.session.reset admin.analytics.getFile
        apps.connections.open apps.manifest.create apps.manifest.export apps.manifest.update
        apps.uninstall apps.event.authorizations.list apps.user.connection.update
        auth.revoke auth.teams.list migration.exchange
        oauth.access oauth.v2.access oauth.v2.exchange openid.connect.token
        rtm.connect rtm.start tooling.tokens.rotate
        team.accessLogs team.billableInfo team.billing.info team.integrationLogs
        team.externalTeams.disconnect conversations.archive conversations.create
        conversations.invite conversations.inviteShared conversations.kick conversations.rename
        conversations.setPurpose conversations.setTopic conversations.acceptSharedInvite
        files.delete files.sharedPublicURL files.revokePublicURL
        usergroups.create usergroups.users.update users.profile.set users.setPhoto
        users.deletePhoto users.setPresence workflows.stepCompleted functions.completeSuccess
        canvases.access.set slackLists.access.set
    """,
}


def forbidden(provider: str) -> list[str]:
    """Return the operations of `provider` that no preset may hold, in the notation of presets."""
    text = FORBIDDEN[provider]
    if " /" not in text:
        return text.split()
    return [line.strip() for line in text.splitlines() if line.strip()]

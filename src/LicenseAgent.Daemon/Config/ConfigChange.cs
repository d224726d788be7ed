namespace LicenseAgent.Daemon.Config;

/// <summary>What a reload would change, and what of it only a restart can.</summary>
/// <param name="Changed">Keys that differ, as <c>section.key</c>.</param>
/// <param name="Errors">Of keys among them that are read at start alone; empty: it can be put in force.</param>
internal sealed record ConfigChange(IReadOnlyList<string> Changed, IReadOnlyList<string> Errors)
{
    // Everything else belongs to something that is opened or sized once: sockets, files, TPM, identity. A key that is
    // added later is of that kind until it stands here.
    private static readonly HashSet<string> Reloadable = new(StringComparer.Ordinal)
    {
        "agent.rotation_interval", "agent.grace_period", "agent.offline_after", "agent.check_in_interval",
        "server.url", "server.cert_pin", "server.cert_pins", "server.timeout", ServerAuthorityKey,
        "audit.on_failure", "audit.retention", "audit.max_bytes", "audit.segment_bytes",
        "degraded.allowed", "pos.allowed_uids", "pos.allowed_gids",
        "management.admin_uids", "management.viewer_uids", "management.allowed_uids",
        "management.require_certificate", AuthorityKey, ListKey,
        "alerts.webhook_url", WebhookSecretKey,
    };

    private const string ServerAuthorityKey = "server.ca_cert", WebhookSecretKey = "alerts.webhook_secret_file";
    private const string AuthorityKey = "management.ca_cert", ListKey = "management.crl";

    public static ConfigChange Between(AgentConfig before, AgentConfig after)
    {
        SortedSet<string> changed = new(StringComparer.Ordinal);
        foreach (string key in before.Given.Keys.Concat(after.Given.Keys))
        {
            if (before.Given.GetValueOrDefault(key) != after.Given.GetValueOrDefault(key))
                changed.Add(key);
        }

        // The same path, and another file there: that is what a list of revoked certificates is reloaded for.
        if (Differ(before.Management.CaPem, after.Management.CaPem))
            changed.Add(AuthorityKey);
        if (Differ(before.Management.Crl, after.Management.Crl))
            changed.Add(ListKey);
        if (Differ(before.Server.CaPem, after.Server.CaPem))
            changed.Add(ServerAuthorityKey);
        if (Differ(before.Alerts.WebhookSecret, after.Alerts.WebhookSecret))
            changed.Add(WebhookSecretKey);
        return new ConfigChange(
            [.. changed],
            [
                .. changed.Where(key => !Reloadable.Contains(key))
                    .Select(key => $"{key} is read at start alone; systemctl restart license-agent"),
            ]);
    }

    private static bool Differ(byte[]? one, byte[]? other) =>
        !one.AsSpan().SequenceEqual(other);
}

namespace LicenseAgent.Sim.Plans;

/// <summary>The names of what can go wrong, as plans and reports write them.</summary>
internal static class FaultKinds
{
    // Network, one till or all.
    public const string Cut = "net_cut";
    public const string CutOut = "net_cut_out";
    public const string CutIn = "net_cut_in";
    public const string Loss = "net_loss";
    public const string Latency = "net_latency";
    public const string Duplicates = "net_duplicates";
    public const string Truncates = "net_truncates";
    public const string AnswerLost = "net_answer_lost_once";
    public const string Portal = "net_portal";
    public const string Refused = "net_refused";
    public const string DnsFlip = "net_dns_flip";
    public const string Resets = "net_resets";
    public const string Clog = "net_clog";
    public const string Replays = "server_replays";
    public const string CrossAgent = "server_cross_agent";
    public const string Flips = "server_flips";
    public const string Huge = "server_huge";
    public const string Downgrades = "server_downgrades";
    public const string RevokeStorm = "server_revoke_storm";

    // Server.
    public const string ServerDown = "server_down";
    public const string Overloaded = "server_overloaded";
    public const string BareStatus = "server_bare_status";
    public const string ServerSkew = "server_skew";
    public const string ServerRestored = "server_restored";
    public const string ServerStale = "server_stale";
    public const string KeyRollover = "server_key_rollover";

    /// <summary>The server shows a certificate that has just ended, or one of another authority.</summary>
    public const string ServerCertificate = "server_certificate";

    // TPM.
    public const string TpmAbsent = "tpm_absent";
    public const string TpmLockout = "tpm_lockout";
    public const string TpmSlow = "tpm_slow";
    public const string TpmFlaky = "tpm_flaky";
    public const string TpmFailsOnce = "tpm_fails_once";
    public const string TpmBusy = "tpm_busy";
    public const string TpmGarbled = "tpm_garbled";
    public const string TpmNoHandles = "tpm_no_handles";
    public const string TpmNvMissing = "tpm_nv_missing";
    public const string TpmCleared = "tpm_cleared";
    public const string TpmReplaced = "tpm_replaced";
    public const string TpmRolledBack = "tpm_rolled_back";

    // Disk.
    public const string DiskFull = "disk_full";
    public const string DiskFullOnce = "disk_full_once";
    public const string DiskFailsOnce = "disk_eio_once";
    public const string DiskUnreadable = "disk_eio_read";
    public const string DiskUnsyncable = "disk_eio_sync";
    public const string DiskStall = "disk_stall";
    public const string DiskReadOnly = "disk_read_only";
    public const string AuditFull = "audit_full";
    public const string DiskRestored = "disk_restored";
    public const string RunRemoved = "run_removed";
    public const string SecretDamaged = "secret_damaged";
    public const string StateDamaged = "state_damaged";
    public const string BitRot = "bit_rot";
    public const string FileTruncated = "file_truncated";
    public const string IdentityDamaged = "identity_damaged";
    public const string AuditTailCut = "audit_tail_cut";
    public const string AuditLineFlipped = "audit_line_flipped";
    public const string AuditSwapped = "audit_swapped";

    // Process and machine.
    public const string Kill = "kill";
    public const string Crash = "crash";
    public const string PowerCut = "power_cut";
    public const string PowerCutAtSend = "power_cut_at_send";

    /// <summary>The power goes soon after the next answer, and the till comes back to no network.</summary>
    public const string CutOffOnceTold = "cut_off_once_told";
    public const string Pause = "pause";
    public const string Suspend = "suspend";
    public const string Restart = "restart";
    public const string RestartLoop = "restart_loop";
    public const string Reload = "reload";

    /// <summary>The machine is switched off in an orderly way, and on again.</summary>
    public const string Reboot = "reboot";

    /// <summary>The same every evening, for as many seconds as the argument says.</summary>
    public const string Night = "night";

    // The program on the till is exchanged while it is off.
    public const string OlderFormat = "older_format";
    public const string NewerFormat = "newer_format";

    // Clock.
    public const string WallStep = "wall_step";
    public const string WallStrobe = "wall_strobe";
    public const string DeadRtc = "dead_rtc";

    /// <summary>Power cut every so often, each boot begins in 2000, and nobody can be asked.</summary>
    public const string ClockBatteryOut = "clock_battery_out";

    public static readonly IReadOnlyList<string> Network =
        [Cut, CutOut, CutIn, Loss, Latency, Duplicates, Truncates, AnswerLost, Portal, Refused, DnsFlip, Resets, Clog];

    public static readonly IReadOnlyList<string> Malice =
        [Replays, CrossAgent, Flips, Portal, Huge, Downgrades, RevokeStorm];

    public static readonly IReadOnlyList<string> Server =
        [ServerDown, Overloaded, BareStatus, ServerSkew, ServerRestored, ServerStale, KeyRollover];

    public static readonly IReadOnlyList<string> Tpm =
    [
        TpmAbsent, TpmLockout, TpmSlow, TpmFlaky, TpmFailsOnce, TpmBusy, TpmGarbled, TpmNoHandles, TpmNvMissing,
        TpmCleared, TpmReplaced, TpmRolledBack,
    ];

    /// <summary>The TPM is no longer that of the enrolment.</summary>
    public static readonly IReadOnlyList<string> AnotherTpm = [TpmCleared, TpmReplaced, TpmNvMissing];

    public static readonly IReadOnlyList<string> Disk =
        [DiskFull, DiskFullOnce, DiskFailsOnce, DiskUnreadable, DiskUnsyncable, DiskStall, DiskReadOnly, AuditFull];

    public static readonly IReadOnlyList<string> Tampering =
    [
        DiskRestored, RunRemoved, SecretDamaged, StateDamaged, BitRot, FileTruncated, AuditTailCut, AuditLineFlipped,
        AuditSwapped, IdentityDamaged,
    ];

    /// <summary>
    /// Drawn by themselves, seldom: the one stops the whole fleet, after the other somebody has to come to the till.
    /// </summary>
    public static readonly IReadOnlyList<string> Seldom = [ServerCertificate, IdentityDamaged];

    public static readonly IReadOnlyList<string> Upgrade = [OlderFormat, NewerFormat];

    public static readonly IReadOnlyList<string> Process =
    [
        Kill, Crash, Crash, PowerCut, PowerCutAtSend, Pause, Suspend, Restart, RestartLoop, Reboot, Night, Reload,
    ];

    public static readonly IReadOnlyList<string> Clock = [WallStep, WallStrobe, DeadRtc, Suspend, ClockBatteryOut];

    /// <summary>What follows an order, and is drawn with it.</summary>
    public static readonly IReadOnlyList<string> AfterOrders = [CutOffOnceTold];

    /// <summary>What is done to the files of the log.</summary>
    public static readonly IReadOnlyList<string> LogTampering = [AuditTailCut, AuditLineFlipped, AuditSwapped];

    /// <summary>All that are drawn at any time.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        .. Network.Union(Malice).Union(Server).Union(Tpm).Union(Disk).Union(Tampering).Union(Upgrade).Union(Process)
            .Union(Clock).Except(Seldom),
    ];

    public static bool Are(string kind) =>
        All.Contains(kind) || AfterOrders.Contains(kind) || Seldom.Contains(kind);

    /// <summary>What befalls the server, and so all tills.</summary>
    public static bool IsOfServer(string kind) => Server.Contains(kind) || kind == ServerCertificate;
}

/// <summary>The names of what operators do.</summary>
internal static class OrderKinds
{
    public const string Rotate = "rotate";
    public const string Invalidate = "invalidate";
    public const string Revoke = "revoke";
    public const string Suspend = "suspend";
    public const string Resume = "resume";
    public const string LimitGrace = "limit_grace";
    public const string InvalidateBelow = "invalidate_below";
    public const string RotateNow = "rotate_now";

    /// <summary>What a till has to keep once it has heard of it.</summary>
    public static readonly IReadOnlyList<string> Lasting = [Revoke, Suspend, LimitGrace, InvalidateBelow];

    /// <summary>All versions there are, in the moment in which the next confirm leaves: the server refuses it.</summary>
    public const string InvalidateAtConfirm = "invalidate_at_confirm";

    /// <summary>What is drawn at any time. What aims at a moment is drawn by itself.</summary>
    public static readonly IReadOnlyList<string> All =
        [Rotate, Invalidate, Revoke, Suspend, Resume, LimitGrace, InvalidateBelow, RotateNow];
}

using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.History;

/// <summary>
/// One thing that could be observed, by whoever looks at nodes, network and server from outside. Checkers see nothing
/// else, and the trace is hashed over their text: no ciphertext, no signature, no random member stands in one.
/// </summary>
/// <param name="AtUs">Virtual time.</param>
/// <param name="Node">The till, or the server.</param>
internal abstract record Happening(long AtUs, string Node);

/// <summary>A process of the agent began.</summary>
internal sealed record Started(long AtUs, string Node, int Process, string BootId) : Happening(AtUs, Node);

/// <summary>How a process ended.</summary>
internal enum EndOf
{
    Stop,
    Kill,
    PowerCut,

    /// <summary>The machine was switched off in an orderly way; its process had ended before.</summary>
    ShutDown,

    /// <summary>By itself, with an exception: a bug.</summary>
    Crash,

    /// <summary>It refused to start on files of a newer program.</summary>
    NewerFormat,
}

/// <param name="Detail">Of a crash the exception's type and message.</param>
internal sealed record Ended(long AtUs, string Node, EndOf How, string Detail) : Happening(AtUs, Node)
{
    /// <summary>
    /// For people. Not public and so no part of the text: frames come and go with what the compiler inlines, and the
    /// trace must not.
    /// </summary>
    internal string? Stack { get; init; }
}

/// <summary>A validation was answered, or could not be asked.</summary>
/// <param name="License">Its id, as the application knows it.</param>
/// <param name="TokenVersion">The version the token stands under.</param>
/// <param name="Reason">Of the answer, or the problem's code.</param>
/// <param name="AuditedFirst">The nonce was put into the log after the question and before the answer was seen.</param>
/// <param name="Fresh">The user had never sent this nonce before.</param>
internal sealed record Validated(
    long AtUs, string Node, uint Uid, Nonce16 Nonce, string License, long TokenVersion, int Status, string Reason,
    string Mode, bool AuditedFirst, bool Fresh = true) : Happening(AtUs, Node);

/// <summary>A call that had no answer by its deadline although its process lived.</summary>
internal sealed record Unanswered(long AtUs, string Node, string Path) : Happening(AtUs, Node);

/// <summary>A license token was made for an application of the till.</summary>
internal sealed record Minted(long AtUs, string Node, string License, long Version) : Happening(AtUs, Node);

/// <summary>What an agent shows of itself.</summary>
/// <param name="Actives">How many secrets are ACTIVE.</param>
/// <param name="WallOffMs">How far the machine's wall clock is from the truth.</param>
internal sealed record Seen(
    long AtUs, string Node, string Mode, string Lock, long Active, long Pending, int Actives, int Pendings,
    long Highest, long TrustedMs, long? LastContactMs, long WallOffMs = 0) : Happening(AtUs, Node);

/// <summary>A request left a till.</summary>
/// <param name="Message">Its number among the till's.</param>
internal sealed record RequestLeft(long AtUs, string Node, long Message, string Path) : Happening(AtUs, Node);

/// <summary>What became of a request and its answer.</summary>
/// <param name="ArrivedUs">When the request was at the server; <see langword="null"/>: never.</param>
internal sealed record MessageEnded(long AtUs, string Node, long Message, MessageFate Fate, long? ArrivedUs)
    : Happening(AtUs, Node);

/// <summary>How the way of a message ended.</summary>
internal enum MessageFate
{
    Answered,

    /// <summary>An answer arrived that the server did not give, or not to this.</summary>
    Forged,
    RequestLost,

    /// <summary>The server is down.</summary>
    NobodyThere,

    /// <summary>The server has done what was asked.</summary>
    AnswerLost,
    AnswerBroken,

    /// <summary>The answer came when nobody waited for it any more.</summary>
    TooLate,

    /// <summary>The same request a second time; nobody hears its answer.</summary>
    CopyArrived,
}

/// <summary>A till did not like the server's certificate, and nothing was sent.</summary>
internal sealed record CertificateRefused(long AtUs, string Node, string Reason) : Happening(AtUs, Node);

/// <summary>The server judged a request.</summary>
/// <param name="Operation">The request's id, the same when it is repeated.</param>
internal sealed record Received(
    long AtUs, string Node, string Action, long Version, string Verdict, string Operation = "")
    : Happening(AtUs, Node);

/// <summary>What a check-in reported and what it was told.</summary>
/// <param name="GraceLimit">Told: serving ends here at the latest.</param>
/// <param name="Protection">Reported: what keeps the keys.</param>
internal sealed record Reported(
    long AtUs, string Node, string Mode, string Lock, long RevocationsVersion, long InvalidBelow, bool Suspended,
    long Active, UtcTime? GraceLimit = null, string Protection = Protections.Tpm) : Happening(AtUs, Node);

/// <summary>A version changed its state at the server.</summary>
internal sealed record VersionChanged(long AtUs, string Node, long Version, VersionState State, UtcTime GraceUntil)
    : Happening(AtUs, Node);

internal sealed record Revoked(long AtUs, string Node, string License, long ListVersion) : Happening(AtUs, Node);

internal sealed record WitnessGiven(long AtUs, string Node, long Seq, bool Conflict) : Happening(AtUs, Node)
{
    /// <summary>The record that was shown. Not hashed: a certificate request in the log differs from run to run.</summary>
    internal Digest32 Head { get; init; }
}

/// <summary>The agent removed a file of its log that was old.</summary>
/// <param name="AgeS">Of the youngest record in it, by the time it has on it.</param>
internal sealed record LogFileRetired(long AtUs, string Node, string File, long AgeS) : Happening(AtUs, Node);

/// <summary>The server took two machines to have the till's identity.</summary>
internal sealed record CloneSuspected(long AtUs, string Node, string Evidence) : Happening(AtUs, Node);

/// <summary>A confirm left the till.</summary>
/// <param name="SecretDurable">The secret's file would have survived a power cut at that moment.</param>
/// <param name="PendingDurable">So would PENDING and the mark that its confirm is on its way.</param>
/// <param name="RecordDurable">So would the record that it was staged.</param>
internal sealed record ConfirmLeft(
    long AtUs, string Node, long Version, bool SecretDurable, bool PendingDurable, bool RecordDurable)
    : Happening(AtUs, Node);

/// <summary>An answer reached an agent.</summary>
/// <param name="Kind"><c>genuine</c>, or how it was forged.</param>
/// <param name="ContactBeforeMs">The agent's last contact before, Unix milliseconds.</param>
/// <param name="ContactAfterMs">And when it next did something.</param>
internal sealed record AnswerJudged(
    long AtUs, string Node, string Kind, long? ContactBeforeMs, long? ContactAfterMs) : Happening(AtUs, Node);

/// <summary>A program that is too old stood before newer files.</summary>
/// <param name="IsRefused">It did not run.</param>
/// <param name="IsUntouched">The state folder is what it was, byte for byte.</param>
/// <param name="File">The one that was newer.</param>
internal sealed record NewerFormatLeft(
    long AtUs, string Node, bool IsRefused, bool IsUntouched, string File = "run.json")
    : Happening(AtUs, Node);

/// <summary>Somebody called who may not, or called nonsense.</summary>
/// <param name="Kind"><c>stranger</c>, <c>viewer</c>, <c>garbage</c> or <c>oversized</c>.</param>
internal sealed record OddCall(long AtUs, string Node, string Kind, string What, int Status) : Happening(AtUs, Node);

/// <summary>What a TPM was used for in a whole run.</summary>
internal sealed record TpmUsed(long AtUs, string Node, long Commands, long AuthFailures, int Processes)
    : Happening(AtUs, Node);

/// <summary>An application with a license made after the healing asks last of all.</summary>
internal sealed record AskedAtEnd(long AtUs, string Node, string Reason) : Happening(AtUs, Node);

/// <summary>What a till holds at the end of a run.</summary>
/// <param name="Alerts">Ids of those that stand, with spaces between.</param>
/// <param name="Timers">Armed timers of its process.</param>
internal sealed record LeftOver(long AtUs, string Node, string Alerts, int Timers) : Happening(AtUs, Node);

/// <summary>A secret stood where none may be.</summary>
/// <param name="Place">What was looked at.</param>
internal sealed record SecretInClear(long AtUs, string Node, string Place, long Version) : Happening(AtUs, Node);

/// <summary>How many answers, requests, log lines and files of a run were looked through for how many secrets.</summary>
internal sealed record LookedForSecrets(long AtUs, string Node, long Places, long Secrets) : Happening(AtUs, Node);

internal sealed record FaultBegan(long AtUs, string Node, int Fault, string Kind) : Happening(AtUs, Node);

internal sealed record FaultEnded(long AtUs, string Node, int Fault, string Kind) : Happening(AtUs, Node);

/// <summary>Somebody used a till or the server.</summary>
internal sealed record Ordered(long AtUs, string Node, string What, string Outcome) : Happening(AtUs, Node);

/// <summary>From here on everything is healthy, and everybody has to come back.</summary>
internal sealed record Healed(long AtUs, string Node) : Happening(AtUs, Node);

using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Sim.World.Server;

/// <summary>States of a version, as the protocol writes them.</summary>
internal enum VersionState
{
    Pending,
    Active,
    Grace,
    Invalidated,
    Burned,
}

internal sealed record ServerVersion(VersionState State, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil);

/// <summary>The outcome of an operation, to be signed anew for a retry.</summary>
internal sealed record StoredOutcome(string Operation, ServerAnswer Answer, UtcTime Kept);

/// <summary>An enrolment token and the key that used it first.</summary>
internal sealed record ServerToken(Digest32 Token, UtcTime Expires, string? Thumbprint, UtcTime? Bound, ServerAnswer? Answer);

/// <summary>What the server keeps of one agent. All of it can be copied: a backup of the server is a copy.</summary>
internal sealed class AgentBooks(string agentId)
{
    public string AgentId { get; } = agentId;

    public EcPublicJwk? Signing { get; set; }

    public RsaPublicJwk? Decryption { get; set; }

    public ServerToken? Token { get; set; }

    /// <summary>Its last request was signed by another key: of an enrolment before this one.</summary>
    public bool IsStranger { get; set; }

    public long Active { get; set; }

    public long Pending { get; set; }

    public long Highest { get; set; }

    public long InvalidBelow { get; set; }

    public long RotateAbove { get; set; }

    public bool Suspended { get; set; }

    public UtcTime? GraceLimit { get; set; }

    public long RevocationsVersion { get; set; }

    public SortedSet<string> Revoked { get; private set; } = new(StringComparer.Ordinal);

    public SortedDictionary<long, ServerVersion> Versions { get; private set; } = [];

    public SortedSet<long> Held { get; private set; } = [];

    public Dictionary<string, StoredOutcome> Outcomes { get; private set; } = new(StringComparer.Ordinal);

    public Queue<(Nonce16 Nonce, UtcTime Seen)> NonceOrder { get; private set; } = new();

    public HashSet<Nonce16> Nonces { get; private set; } = [];

    /// <summary>Audit heads by number, the newest of them.</summary>
    public SortedDictionary<long, Digest32> Witnessed { get; private set; } = [];

    /// <summary>The highest number of <see cref="Witnessed"/>.</summary>
    public long WitnessedLast { get; set; }

    public UtcTime WitnessTime { get; set; } = UtcTime.MinValue;

    public List<UtcTime> Recoveries { get; private set; } = [];

    /// <summary>What the key told of its machine's clocks last, and its boots since it was enrolled or approved.</summary>
    public (UtcTime Told, ClockEvidence Clock)? ClockTold { get; set; }

    public List<string> Boots { get; private set; } = [];

    /// <summary>What made it look like two machines; <see langword="null"/>: nothing.</summary>
    public string? CloneEvidence { get; set; }

    /// <summary>Takes over an enrolment, and with it which audit log is the agent's.</summary>
    public void EnrolledAs(AgentBooks other)
    {
        (Signing, Decryption, Token) = (other.Signing, other.Decryption, other.Token);
        Witnessed = new SortedDictionary<long, Digest32>(other.Witnessed);
        (WitnessedLast, WitnessTime) = (other.WitnessedLast, other.WitnessTime);
        (ClockTold, CloneEvidence, Boots) = (other.ClockTold, other.CloneEvidence, [.. other.Boots]);
    }

    public AgentBooks Copy()
    {
        AgentBooks copy = (AgentBooks)MemberwiseClone();
        copy.Revoked = new SortedSet<string>(Revoked, StringComparer.Ordinal);
        copy.Versions = new SortedDictionary<long, ServerVersion>(Versions);
        copy.Held = [.. Held];
        copy.Outcomes = new Dictionary<string, StoredOutcome>(Outcomes, StringComparer.Ordinal);
        copy.NonceOrder = new Queue<(Nonce16 Nonce, UtcTime Seen)>(NonceOrder);
        copy.Nonces = [.. Nonces];
        copy.Witnessed = new SortedDictionary<long, Digest32>(Witnessed);
        copy.Recoveries = [.. Recoveries];
        copy.Boots = [.. Boots];
        return copy;
    }
}

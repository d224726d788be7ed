namespace LicenseAgent.Core;

/// <summary>The four states of a secret on an agent.</summary>
public enum SecretState
{
    Pending,
    Active,
    Grace,
    Invalidated,
}

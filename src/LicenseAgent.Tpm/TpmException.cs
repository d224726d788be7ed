namespace LicenseAgent.Tpm;

/// <summary>Why a TPM call failed. What each means for a retry is <see cref="TpmException.IsTransient"/>.</summary>
public enum TpmFailure
{
    /// <summary>No connection: device missing, emulator dead, peer closed. May come back.</summary>
    Unavailable,

    /// <summary>
    /// The TPM did not answer within the command's deadline; whether it executed the command is unknown.
    /// </summary>
    TimedOut,

    /// <summary>The answer was not a TPM answer, or its HMAC did not verify.</summary>
    BadResponse,

    /// <summary>
    /// The TPM kept answering "try again" (RETRY, YIELDED, TESTING, NV_RATE, NV_UNAVAILABLE) to the bound.
    /// </summary>
    Busy,

    /// <summary>More calls are waiting than the queue holds; this one was not sent.</summary>
    Overloaded,

    /// <summary>The TPM is in dictionary-attack lockout; it ends by itself. Never retried here.</summary>
    Lockout,

    /// <summary>The auth value is wrong. Never retried here.</summary>
    AuthFailed,

    /// <summary>The owner hierarchy has a password and none, or a wrong one, was given.</summary>
    OwnerAuthRequired,

    /// <summary>This is not the TPM, or not the state of the TPM, that was recorded at enrolment.</summary>
    Replaced,

    /// <summary>The storage root key is the recorded one, but a key of the agent is not there.</summary>
    NotProvisioned,

    /// <summary>A persistent handle or NV index that the agent needs holds somebody else's object.</summary>
    KeyHandleTaken,

    /// <summary>
    /// The ciphertext definitely does not open under the decryption key; asking again changes nothing.
    /// </summary>
    DecryptFailed,

    /// <summary>
    /// The TPM refused a command for another reason; <see cref="TpmException.ResponseCode"/> says which.
    /// </summary>
    CommandFailed,
}

/// <summary>The one exception that the TPM's environment causes. The message names the fact and the remedy.</summary>
public sealed class TpmException : Exception
{
    public TpmException(TpmFailure reason, string message, uint responseCode = 0, Exception? inner = null)
        : base(message, inner)
    {
        Reason = reason;
        ResponseCode = responseCode;
    }

    public TpmFailure Reason { get; }

    /// <summary>The TPM's or the library's response code, 0 where there was none.</summary>
    public uint ResponseCode { get; }

    /// <summary>
    /// Whether the same call may succeed later without anybody doing anything about keys or configuration.
    /// </summary>
    public bool IsTransient => Reason is TpmFailure.Unavailable or TpmFailure.TimedOut or TpmFailure.BadResponse
        or TpmFailure.Busy or TpmFailure.Overloaded or TpmFailure.Lockout or TpmFailure.CommandFailed;
}

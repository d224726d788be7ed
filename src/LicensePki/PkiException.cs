namespace LicensePki;

/// <summary>The PKI refused or could not do what was asked; the message names the fact and the remedy.</summary>
public sealed class PkiException : Exception
{
    public PkiException(string message) : base(message)
    {
    }

    public PkiException(string message, Exception inner) : base(message, inner)
    {
    }
}

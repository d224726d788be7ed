namespace LicenseAgent.Client;

/// <summary>Where an application keeps its license token. The application's own store can stand behind it.</summary>
public interface ILicenseTokenStore
{
    /// <summary>The token, or <see langword="null"/> when there is none.</summary>
    ValueTask<string?> ReadAsync(CancellationToken cancel);

    /// <summary>
    /// Puts a renewed token in the place of another, whole or not at all. Where something else than
    /// <paramref name="presented"/> is stored by now, that is newer and stays.
    /// </summary>
    /// <exception cref="IOException">It could not be stored; the old one is still there.</exception>
    ValueTask ReplaceAsync(string presented, string renewed, CancellationToken cancel);
}

/// <summary>A token in memory: for applications that get it from elsewhere at every start, and for tests.</summary>
public sealed class MemoryLicenseTokenStore(string? token) : ILicenseTokenStore
{
    private string? token = token;

    /// <summary>The token as it is now.</summary>
    public string? Token => Volatile.Read(ref token);

    /// <inheritdoc/>
    public ValueTask<string?> ReadAsync(CancellationToken cancel) => new(Token);

    /// <inheritdoc/>
    public ValueTask ReplaceAsync(string presented, string renewed, CancellationToken cancel)
    {
        string? now = Token;
        if (now == presented)
            Interlocked.CompareExchange(ref token, renewed, now);
        return default;
    }
}

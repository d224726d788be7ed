using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>
/// Gets keysets from the server. What comes is unsigned as an answer and proves nothing about it; each keyset is signed
/// by the one before.
/// </summary>
internal sealed class KeysetFetch(AgentPorts ports, Func<ServerConfig> config)
{
    // Thousands of keysets: no honest server rotates that often, and another one must not keep the agent busy.
    private const int PagesMax = 4;

    /// <summary>The keysets after the chain's last one, durable in <c>keysets.json</c>.</summary>
    /// <exception cref="NoContactException">The server was not reached, or what it sent does not verify.</exception>
    /// <exception cref="StorageException">The chain could not be written.</exception>
    public async Task<TrustedChain> ExtendAsync(TrustedChain chain, CancellationToken cancel)
    {
        TrustedChain longer = await PagesAsync(chain, cancel);
        if (longer.Current.Version > chain.Current.Version)
        {
            await ports.StateFiles.ReplaceAsync(TillFiles.Keysets, longer.Write(), cancel);
        }

        return longer;
    }

    /// <summary>The whole chain from the pin, durable; for a file that is missing, damaged or was put back.</summary>
    /// <exception cref="NoContactException">As <see cref="ExtendAsync"/>.</exception>
    /// <exception cref="StorageException">As <see cref="ExtendAsync"/>.</exception>
    public async Task<TrustedChain> FetchAsync(KeysetPin pin, CancellationToken cancel)
    {
        TrustedChain chain = await GetAsync(pin, cancel);
        await ports.StateFiles.ReplaceAsync(TillFiles.Keysets, chain.Write(), cancel);
        return chain;
    }

    /// <summary>The whole chain from the pin, not written anywhere.</summary>
    /// <exception cref="NoContactException">As <see cref="ExtendAsync"/>.</exception>
    public async Task<TrustedChain> GetAsync(KeysetPin pin, CancellationToken cancel)
    {
        byte[] first = await GetAsync(pin.Version - 1, cancel);
        return await PagesAsync(Verified(() => TrustedChain.FromPin(first, pin, ports.VerifyEs256)), cancel);
    }

    private async Task<TrustedChain> PagesAsync(TrustedChain chain, CancellationToken cancel)
    {
        for (int page = 0; page < PagesMax; page++)
        {
            byte[] more = await GetAsync(chain.Current.Version, cancel);
            TrustedChain longer = Verified(() => chain.Append(more, ports.VerifyEs256));
            if (ReferenceEquals(longer, chain))
            {
                return chain;
            }

            chain = longer;
        }

        return chain;
    }

    private async Task<byte[]> GetAsync(long after, CancellationToken cancel)
    {
        UpstreamAnswer answer = await ports.Upstream.ExchangeAsync(
            "GET", $"{AgentPaths.Keyset}?after={after}", ReadOnlyMemory<byte>.Empty, config().Timeout, cancel);
        return answer.Body;
    }

    private static TrustedChain Verified(Func<TrustedChain> read)
    {
        try
        {
            return read();
        }
        catch (ProtocolException e)
        {
            throw new NoContactException(
                "keyset", $"The server's keysets do not follow from the one this till was enrolled with ({e.Code}). "
                + "Write a new bundle with license-server agents add.", e);
        }
    }
}

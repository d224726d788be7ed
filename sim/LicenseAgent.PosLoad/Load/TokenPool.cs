using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.PosLoad.Load;

/// <summary>The tokens a load is made of; a file a worker reads.</summary>
/// <param name="Good">The first is the repeated one, the others are the fresh ones.</param>
internal sealed record TokenPool(IReadOnlyList<string> Good, IReadOnlyList<string> Expired)
{
    /// <summary>Most fresh tokens of a run; after them the first come again.</summary>
    public const int FreshMax = 20_000;

    /// <summary>The same token with a tag that is not its own.</summary>
    public static string Forge(string token)
    {
        // The last character of a 16-byte tag carries two bits; the first carries six.
        int tag = token.LastIndexOf('.') + 1;
        return string.Concat(token.AsSpan(0, tag), token[tag] == 'A' ? "B" : "A", token.AsSpan(tag + 1));
    }

    /// <summary>Requests in the proportions of the mix: the same order in every run.</summary>
    /// <param name="worker">Of <paramref name="workers"/>; each takes fresh tokens of its own.</param>
    public Func<PosRequest> Requests(TokenMix mix, int worker, int workers)
    {
        PosRequest repeated = new(Good[0], ValidationReasons.Valid);
        PosRequest forged = new(Forge(Good[0]), ValidationReasons.InvalidToken);
        PosRequest[] expired = [.. Expired.Select(t => new PosRequest(t, ValidationReasons.Expired))];
        string[] fresh = [.. Good.Skip(1).Where((_, i) => i % workers == worker)];
        long count = 0, freshCount = 0, expiredCount = 0;
        return () =>
        {
            // Spread by a step that shares no factor with small totals, so that kinds do not come in blocks.
            long place = count++ * 7919 % mix.Total;
            if ((place -= mix.Repeated) < 0)
                return repeated;
            if ((place -= mix.Fresh) < 0)
                return new PosRequest(fresh[freshCount++ % fresh.Length], ValidationReasons.Valid);
            return (place - mix.Expired) < 0 ? expired[expiredCount++ % expired.Length] : forged;
        };
    }
}

using System.Text;
using BenchmarkDotNet.Attributes;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Benchmarks.Micro;

/// <summary>License tokens by themselves, without the agent around them.</summary>
public class TokenBenchmarks
{
    private readonly TokenMint _mint = new();
    private readonly LicenseClaims _claims = TokenMint.Claims();
    private byte[] _token = [];
    private byte[] _inner = [];

    [GlobalSetup]
    public void Setup()
    {
        _token = _mint.MintBytes(_claims);
        Require(LicenseToken.TryParseShape(_token, out LicenseTokenShape shape));
        Require(LicenseToken.TryOpen(shape, _mint.Gcm, out _inner));
        Require(ShapeOpenVerify());
    }

    [GlobalCleanup]
    public void Cleanup() => _mint.Dispose();

    [Benchmark]
    public bool Shape() => LicenseToken.TryParseShape(_token, out _);

    [Benchmark]
    public bool ShapeOpenVerify() =>
        LicenseToken.TryParseShape(_token, out LicenseTokenShape shape)
        && LicenseOpening.Open(
            shape, _mint.Gcm, kid => kid == _mint.ServerKid ? _mint.PublicKey : null, Es256.Verify, out _)
            == LicenseOutcome.Opened;

    [Benchmark]
    public string Mint() => _mint.Mint(_claims);

    [Benchmark]
    public string Rewrap() => LicenseToken.Rewrap(_inner, TokenMint.Kid, _mint.Gcm, _mint.NextIv());

    internal static void Require(bool holds)
    {
        if (!holds)
            throw new InvalidOperationException("What is to be measured does not work.");
    }
}

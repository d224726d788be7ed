using System.Buffers;
using LicenseAgent.Core;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

public sealed class ValidationAnswerTests : IDisposable
{
    private readonly LocalBench _bench = new();

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData(5, "lic-1")]
    [InlineData(6, "lic-1")]
    [InlineData(6, "revoked-license")]
    [InlineData(8, "lic-1")]
    [InlineData(9, "lic-1")]
    public void The_bytes_are_those_of_the_serializer(long version, string license)
    {
        Verdict verdict = _bench.Validator().Judge(_bench.Mint(LocalBench.Claims(license), version), _bench.Now);
        Nonce16 nonce = Nonce16.From("0123456789abcdef"u8);
        var body = new ArrayBufferWriter<byte>();
        ValidationAnswer.Write(verdict, nonce, body);
        byte[] expected = StrictJson.Write(Record(verdict, nonce), LocalAnswerJsonContext.Wire.ValidateLicenseResponse);
        Assert.Equal(System.Text.Encoding.UTF8.GetString(expected), body.Text());
    }

    private static ValidateLicenseResponse Record(in Verdict verdict, Nonce16 nonce)
    {
        var response = new ValidateLicenseResponse(
            verdict.IsValid, verdict.Reason, nonce, ModeText.Of(verdict.Mode), verdict.Protection,
            Renewable: verdict.Reason == ValidationReasons.SecretInvalidated ? true : null);
        if (verdict.Token is not { } token)
            return response;
        response = response with
        {
            LicenseId = token.Claims.Sub,
            Product = token.Claims.Product,
            ExpiresAt = token.Claims.ExpiresAt,
            Features = token.Claims.Features,
            Metadata = token.Claims.Metadata,
            SecretVersion = token.Version,
        };
        return !verdict.IsValid ? response : response with
        {
            UsableUntil = verdict.UsableUntil,
            License = token.License.InnerJws,
            RenewedToken = verdict.RenewedToken is { } renewed ? System.Text.Encoding.ASCII.GetString(renewed) : null,
        };
    }
}

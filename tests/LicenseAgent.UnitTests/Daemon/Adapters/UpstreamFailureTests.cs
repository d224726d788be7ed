using System.Net.Sockets;
using System.Security.Cryptography;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Adapters;

/// <summary>Reasons of failures that no server of .NET can provoke; the exceptions are those seen from others.</summary>
public sealed class UpstreamFailureTests
{
    private static readonly Uri Address = new("https://license-server.example:8443");

    [Fact]
    public void An_alert_that_ends_TLS_after_the_handshake_is_a_refused_certificate()
    {
        // What openssl s_server -Verify 1 -verify_return_error causes.
        var alert = new CryptographicException("tlsv13 alert certificate required");
        var error = new HttpRequestException(
            "sending", new IOException("The decryption operation failed, see inner exception.", alert));
        Assert.Equal("tls_refused", UpstreamFailure.Of(error, Address).Reason);
    }

    [Theory]
    [InlineData(HttpRequestError.NameResolutionError, "dns")]
    [InlineData(HttpRequestError.ConnectionError, "unreachable")]
    [InlineData(HttpRequestError.SecureConnectionError, "tls_handshake")]
    [InlineData(HttpRequestError.InvalidResponse, "bad_http")]
    [InlineData(HttpRequestError.ConfigurationLimitExceeded, "bad_http")]
    [InlineData(HttpRequestError.ResponseEnded, "incomplete")]
    [InlineData(HttpRequestError.Unknown, "incomplete")]
    public void Each_kind_of_failure_has_a_reason(HttpRequestError kind, string reason)
    {
        var inner = new SocketException((int)SocketError.HostUnreachable);
        var failure = UpstreamFailure.Of(new HttpRequestException(kind, "failed", inner), Address);
        Assert.Equal(reason, failure.Reason);
        Assert.Contains(Address.ToString(), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_judgement_on_the_certificate_comes_through_whatever_wraps_it()
    {
        var judged = new NoContactException("tls_pin", "wrong key");
        var wrapped = new HttpRequestException(HttpRequestError.SecureConnectionError, "tls", new IOException("", judged));
        Assert.Same(judged, UpstreamFailure.Of(wrapped, Address));
    }
}

using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.UnitTests.Tpm;

public sealed class TpmAddressTests
{
    [Theory]
    [InlineData("device:/dev/tpmrm0", TpmAddressKind.Device, "/dev/tpmrm0", "", 0)]
    [InlineData("swtpm:unix:/run/swtpm/sock", TpmAddressKind.SwtpmUnix, "/run/swtpm/sock", "", 0)]
    [InlineData("swtpm:127.0.0.1:2321", TpmAddressKind.SwtpmTcp, "", "127.0.0.1", 2321)]
    [InlineData("swtpm:[::1]:2321", TpmAddressKind.SwtpmTcp, "", "::1", 2321)]
    [InlineData("mssim:tpm.example:65534", TpmAddressKind.Mssim, "", "tpm.example", 65534)]
    public void An_address_is_read(string text, TpmAddressKind kind, string path, string host, int port)
    {
        Assert.True(TpmAddress.TryParse(text, out var address, out _));
        Assert.Equal(new TpmAddress(kind, path, host, port), address);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/dev/tpmrm0")]
    [InlineData("device:")]
    [InlineData("device:tpmrm0")]
    [InlineData("swtpm:unix:")]
    [InlineData("swtpm:unix:sock")]
    [InlineData("swtpm:127.0.0.1")]
    [InlineData("swtpm::2321")]
    [InlineData("swtpm:127.0.0.1:0")]
    [InlineData("swtpm:127.0.0.1:65536")]
    [InlineData("swtpm:127.0.0.1:+1")]
    [InlineData("swtpm:127.0.0.1: 1")]
    [InlineData("mssim:127.0.0.1:65535")]
    [InlineData("SWTPM:127.0.0.1:2321")]
    public void A_mistake_is_answered_with_what_would_be_right(string text)
    {
        Assert.False(TpmAddress.TryParse(text, out var address, out var error));
        Assert.Null(address);
        Assert.Contains("device:/dev/tpmrm0", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_socket_path_that_the_kernel_cannot_take_is_refused() =>
        Assert.False(TpmAddress.TryParse("swtpm:unix:/" + new string('x', 107), out _, out _));

    [Theory]
    [InlineData(0x81000001u, 0x81018A02u)]
    [InlineData(0x80000000u, 0x81018A02u)]
    [InlineData(0x81018A01u, 0x81800000u)]
    [InlineData(0x81018A01u, 0x81018A01u)]
    public void Handles_that_cannot_hold_the_keys_are_refused(uint signing, uint decryption) =>
        Assert.Throws<ArgumentException>(
            () => new TpmDevice(new TpmOptions("device:/dev/tpmrm0", signing, decryption)));
}

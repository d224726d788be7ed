using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.SignIn;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.SignIn;

public sealed class OperatorAuthorityTests : IDisposable
{
    private static readonly UtcTime Now = UtcTime.From(OperatorPki.Start);

    private readonly OperatorPki _pki = new();

    public void Dispose() => _pki.Dispose();

    [Theory]
    [InlineData("viewer", false, 1)]
    [InlineData("admin", false, 2)]
    [InlineData("admin", true, 2)]
    public void A_certificate_of_the_authority_has_the_role_of_its_name(string word, bool rsa, int role)
    {
        Judgement judged = Judge(_pki.Issue(word, rsa));
        Assert.Null(judged.Refusal);
        Assert.Equal(((Role)role, "CN=alice"), (judged.Operator!.Role, judged.Operator.Subject));
    }

    [Theory]
    [InlineData]
    [InlineData("license-agent-role:root")]
    [InlineData("license-agent-role:Admin")]
    [InlineData("license-agent-role:viewer", "license-agent-role:admin")]
    [InlineData("license-agent:pos-001")]
    public void A_certificate_without_exactly_one_known_role_is_nobody(params string[] names) =>
        Assert.Contains("carries no role", Judge(_pki.Issue(names)).Refusal, StringComparison.Ordinal);

    [Theory]
    [InlineData(null, "not for clients")]
    [InlineData("1.3.6.1.5.5.7.3.1", "NotValidForUsage")]
    public void A_certificate_that_is_not_for_clients_is_refused(string? usage, string why) =>
        Assert.Contains(
            why, Judge(_pki.Issue(["license-agent-role:admin"], usage)).Refusal, StringComparison.Ordinal);

    [Fact]
    public void A_certificate_of_another_authority_of_the_same_name_is_refused()
    {
        using OperatorPki other = new();
        Assert.Contains("does not lead", Judge(other.Issue("admin")).Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_ends_by_trusted_now()
    {
        X509Certificate2 certificate = _pki.Issue(["license-agent-role:admin"], ends: OperatorPki.Start.AddHours(1));
        Assert.NotNull(Judge(certificate).Operator);
        Assert.Contains("has ended", Judge(certificate, Now + TimeSpan.FromHours(2)).Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_that_begins_later_is_good_because_the_clock_may_be_behind() => Assert.NotNull(
        Judge(_pki.Issue(["license-agent-role:admin"], begins: OperatorPki.Start.AddDays(2))).Operator);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_revoked_certificate_is_refused_and_the_others_are_not(bool pem)
    {
        X509Certificate2 lost = _pki.Issue("admin");
        byte[] crl = _pki.Crl(OperatorPki.Start.AddDays(1), lost);
        OperatorAuthority authority = OperatorAuthority.Read(_pki.CaPem, pem ? OperatorPki.Pem(crl) : crl);
        Assert.Contains("is revoked", authority.Judge(lost, [], Now).Refusal, StringComparison.Ordinal);
        Assert.NotNull(authority.Judge(_pki.Issue("admin"), [], Now).Operator);
    }

    [Fact]
    public void A_list_past_its_next_update_refuses_everybody()
    {
        OperatorAuthority authority = OperatorAuthority.Read(_pki.CaPem, _pki.Crl(OperatorPki.Start.AddDays(1)));
        Judgement judged = authority.Judge(_pki.Issue("admin"), [], Now + TimeSpan.FromDays(2));
        Assert.Contains("past its next update", judged.Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void The_newest_of_several_lists_counts()
    {
        X509Certificate2 certificate = _pki.Issue("admin");
        byte[] both =
        [
            .. OperatorPki.Pem(_pki.Crl(OperatorPki.Start.AddDays(1), certificate)), (byte)'\n',
            .. OperatorPki.Pem(_pki.Crl(OperatorPki.Start.AddDays(2), certificate)),
        ];
        Assert.NotNull(OperatorAuthority.Read(_pki.CaPem, both).Judge(certificate, [], Now).Refusal);
    }

    [Fact]
    public void A_list_of_somebody_else_is_no_list()
    {
        using OperatorPki other = new();
        CryptographicException refused = Assert.Throws<CryptographicException>(
            () => OperatorAuthority.Read(_pki.CaPem, other.Crl(OperatorPki.Start.AddDays(1))));
        Assert.Contains("signed by an authority of ca_cert", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no list")]
    [InlineData("0\u0003abc")]
    public void What_is_no_list_is_refused_as_such(string text) => Assert.ThrowsAny<CryptographicException>(
        () => OperatorAuthority.Read(_pki.CaPem, System.Text.Encoding.Latin1.GetBytes(text)));

    [Fact]
    public void A_list_with_any_byte_changed_is_not_believed()
    {
        byte[] crl = _pki.Crl(OperatorPki.Start.AddDays(1), _pki.Issue("admin"));
        for (int i = 0; i < crl.Length; i++)
        {
            byte[] changed = [.. crl];
            changed[i] ^= 0x01;
            Assert.ThrowsAny<CryptographicException>(() => OperatorAuthority.Read(_pki.CaPem, changed));
        }
    }

    private Judgement Judge(X509Certificate2 certificate, UtcTime? at = null) =>
        OperatorAuthority.Read(_pki.CaPem, null).Judge(certificate, [], at ?? Now);
}

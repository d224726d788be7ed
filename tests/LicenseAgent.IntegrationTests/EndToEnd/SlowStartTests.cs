using LicenseAgent.Client;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>A start on a slow TPM: the daemon serves with ACTIVE while the versions before it are still sealed.</summary>
public sealed class SlowStartTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_token_under_GRACE_is_LOCKED_and_never_INVALIDATED_until_its_secret_is_open()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string old = await till.Server.IssueAsync(LiveTill.Name);
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
        string current = await till.Server.IssueAsync(LiveTill.Name);
        ActiveTpmRule second = till.Bus.Add(
            new TpmRule { On = TpmCommand.RsaDecrypt, Occurrence = 2, Times = 0, Fault = TpmFault.Hang });
        await till.RestartAgentAsync();
        await second.Reached.WaitAsync(Cancel);

        LicenseValidation early = await till.ValidateAsync(old);
        Assert.Equal((false, ValidationReasons.Locked, "NORMAL"), (early.IsValid, early.Reason, early.Mode));
        Assert.True((await till.ValidateAsync(current)).IsValid);

        second.Release();
        HashSet<string> said = [];
        await Eventually.GetAsync(
            async () =>
            {
                LicenseValidation answer = await till.ValidateAsync(old);
                said.Add(answer.Reason);
                return answer.IsValid ? answer : null;
            },
            () => string.Join(' ', said), Cancel);
        Assert.DoesNotContain(ValidationReasons.SecretInvalidated, said);
    }
}

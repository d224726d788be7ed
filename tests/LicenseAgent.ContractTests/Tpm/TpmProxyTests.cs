using System.Text;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>The proxy itself: a tap that missed something would prove nothing.</summary>
public sealed class TpmProxyTests(TpmSeed seed)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Rules_are_read_from_json_by_the_names_of_the_specification()
    {
        var rules = TpmRule.Parse("""
            [{"on":"NV_Increment","fault":"hang"},
             {"on": "NV_Increment", "occurrence": 2, "fault": "drop_after"},
             {"on": "*", "times": 0, "fault": "answer", "rc": 2338},
             {"on": "RSA_Decrypt", "fault": "delay", "delay_ms": 5}]
            """u8);

        Assert.Equal(
            [
                new TpmRule { On = TpmCommand.NvIncrement, Fault = TpmFault.Hang },
                new TpmRule { On = TpmCommand.NvIncrement, Occurrence = 2, Fault = TpmFault.DropAfter },
                new TpmRule { Times = 0, Fault = TpmFault.Answer, Rc = 0x922 },
                new TpmRule { On = TpmCommand.RsaDecrypt, Fault = TpmFault.Delay, DelayMs = 5 },
            ],
            rules);
    }

    [Theory]
    [InlineData(TpmFault.Corrupt, 2)]
    [InlineData(TpmFault.Hang, 0)]
    public void A_rule_reads_back_from_its_own_json(TpmFault fault, int times)
    {
        var rule = new TpmRule
        {
            On = TpmCommand.NvWrite,
            Occurrence = 3,
            Times = times,
            Fault = fault,
            Offset = 12,
            Mask = 4,
        };

        Assert.Equal([rule], TpmRule.Parse(Encoding.UTF8.GetBytes($"[{rule.ToJson()}]")));
    }

    [Theory]
    [InlineData("""[{"on": "NV_Incremnt", "fault": "hang"}]""")]
    [InlineData("""[{"on": "NV_Increment", "fault": "explode"}]""")]
    [InlineData("""[{"on": "NV_Increment", "fault": "hang", "when": 2}]""")]
    [InlineData("""[{"on": 308, "fault": "hang"}]""")]
    [InlineData("""[{"on": "NV_Increment", "fault": "hold"}]""")]
    [InlineData("""[{"on": "NV_Increment"}]""")]
    [InlineData("""[{"fault": "call_before"}]""")]
    [InlineData("""[{"fault": "delay", "delay_ms": -1}]""")]
    [InlineData("""[{"fault": "hang", "occurrence": 0}]""")]
    [InlineData("[null]")]
    public void A_rule_with_a_mistake_is_refused(string json) =>
        Assert.Throws<System.Text.Json.JsonException>(() => TpmRule.Parse(Encoding.UTF8.GetBytes(json)));

    [Fact]
    public async Task A_proxy_is_told_its_rules_on_its_socket_and_what_hangs_goes_on_when_they_are_taken_away()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        var before = (await device.OpenAsync(till.Binding, Cancel)).Counter;

        await TpmProxy.TellAsync(proxy.FaultsPath, """[{"on":"NV_Increment","fault":"hang"}]""", Cancel);
        var increment = device.IncrementCounterAsync(Cancel);
        Assert.Equal(
            """[{"on":"NV_Increment","occurrence":1,"times":1,"fault":"hang"}]""",
            await ControlSocket.CallAsync(proxy.FaultsPath, "", Cancel));
        Assert.False(increment.IsCompleted);
        await TpmProxy.TellAsync(proxy.FaultsPath, "[]", Cancel);

        Assert.Equal(before + 1, await increment);
    }

    [Fact]
    public async Task What_a_proxy_is_told_wrongly_is_refused_by_name_and_changes_nothing()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        var before = proxy.Tell("""[{"on":"Sign","times":0,"fault":"answer","rc":2338}]""");

        var e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => TpmProxy.TellAsync(proxy.FaultsPath, """[{"on":"Sing","fault":"hang"}]""", Cancel));

        Assert.Contains("$[0].on", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, proxy.Tell(""));
        Assert.Equal(before, proxy.Tell(before));
        var many = $"[{string.Join(',', Enumerable.Repeat("""{"fault":"hang"}""", 65))}]";
        Assert.StartsWith(ControlSocket.Refusal, proxy.Tell(many), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Callbacks_before_and_after_the_kth_command_see_the_tpm_in_those_states()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        var moments = new List<TpmMoment>();
        Task Note(TpmMoment moment)
        {
            moments.Add(moment);
            return Task.CompletedTask;
        }

        proxy.Add(new TpmRule { On = TpmCommand.NvIncrement, Occurrence = 2, Fault = TpmFault.CallBefore }, Note);
        proxy.Add(new TpmRule { On = TpmCommand.NvIncrement, Occurrence = 2, Fault = TpmFault.CallAfter }, Note);
        for (var i = 0; i < 3; i++) await device.IncrementCounterAsync(Cancel);

        Assert.Equal(
            [
                new TpmMoment(TpmCommand.NvIncrement, 0x134, Executed: false),
                new TpmMoment(TpmCommand.NvIncrement, 0x134, Executed: true),
            ],
            moments);
    }

    [Fact]
    public async Task A_held_command_reaches_the_tpm_when_it_is_released()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        var before = (await device.OpenAsync(till.Binding, Cancel)).Counter;
        var hold = proxy.Add(new TpmRule { On = TpmCommand.NvIncrement, Fault = TpmFault.Hang });

        var increment = device.IncrementCounterAsync(Cancel);
        await hold.Reached;
        Assert.False(increment.IsCompleted);
        Assert.Equal(0, proxy.Recording.Count(TpmCommand.NvIncrement));
        hold.Release();

        Assert.Equal(before + 1, await increment);
    }

    [Fact]
    public async Task Two_clients_take_turns_on_one_tpm()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        using var tools = new TpmTools(proxy.ToolsTcti);
        await device.OpenAsync(till.Binding, Cancel);

        var looking = tools.RunAsync("tpm2_getcap", "properties-variable");
        for (var i = 0; i < 50; i++) await device.SignAsync(new byte[32], Cancel);

        Assert.Contains("TPM2_PT_LOCKOUT_COUNTER: 0x0", await looking, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_client_leaves_in_the_tpm_is_counted()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        using var tools = new TpmTools(proxy.ToolsTcti);
        Assert.Equal(0, await TpmHandles.CountAsync(proxy, Cancel));

        await tools.RunAsync("tpm2_startauthsession", "-S", "session.ctx");

        Assert.Equal(1, await TpmHandles.CountAsync(proxy, Cancel));
    }

    [Fact]
    public async Task The_death_of_the_tpm_reaches_the_client()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        var hold = proxy.Add(new TpmRule { On = TpmCommand.Sign, Fault = TpmFault.Hang });
        var sign = device.SignAsync(new byte[32], Cancel);
        await hold.Reached;

        await till.Swtpm.KillAsync();

        var e = await Assert.ThrowsAsync<TpmException>(() => sign);
        Assert.Equal(TpmFailure.Unavailable, e.Reason);
    }

    [Fact]
    public void A_recording_that_is_full_does_not_say_that_something_is_not_in_it()
    {
        var recording = new TpmRecording(bytesMax: 100);
        recording.Add(TpmCommand.Sign, 0x15D, new byte[60], new byte[30]);
        Assert.Empty(recording.Find("sixteen bytes ok"u8));
        recording.Add(TpmCommand.Sign, 0x15D, new byte[60], "sixteen bytes ok"u8.ToArray());

        Assert.Throws<InvalidOperationException>(() => recording.Find("sixteen bytes ok"u8));
    }

    [Fact]
    public void Any_window_of_the_needle_is_found_in_both_directions()
    {
        var recording = new TpmRecording(bytesMax: 1000);
        recording.Add(TpmCommand.Sign, 0x15D, [0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 0], [1, 2, 3, 4, 5, 6, 7, 8, 0]);
        recording.Add(TpmCommand.Sign, 0x15D, [1, 2, 3, 4, 5, 6, 7, 0, 8, 9, 10, 11, 12], []);

        var found = recording.Find([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

        Assert.Equal(
            [
                new TpmSighting(1, TpmCommand.Sign, InResponse: true, 0),
                new TpmSighting(1, TpmCommand.Sign, InResponse: false, 2),
            ],
            found);
    }
}

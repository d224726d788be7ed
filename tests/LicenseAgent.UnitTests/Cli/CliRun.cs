using System.Text;
using LicenseAgent.Cli;
using LicenseAgent.Cli.Display;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>What a run of <c>license-agent-cli</c> left behind.</summary>
internal sealed record CliRun(int Exit, byte[] Bytes, string Error)
{
    /// <summary>A terminal of 80 columns without colours.</summary>
    public static ScreenForm Terminal { get; } = new(IsTerminal: true, HasColor: false, Width: 80);

    public string Output => Encoding.UTF8.GetString(Bytes);

    /// <summary>Runs against an agent.</summary>
    public static Task<CliRun> OfAsync(FakeAgent agent, params string[] args) => OfAsync(agent, Terminal, args);

    public static Task<CliRun> OfAsync(FakeAgent agent, ScreenForm form, params string[] args) =>
        new CliStart { Form = form }.RunAsync([.. args, "--socket", agent.SocketPath]);
}

/// <summary>How <c>license-agent-cli</c> is started.</summary>
internal sealed record CliStart
{
    public ScreenForm Form { get; init; } = CliRun.Terminal;

    /// <summary>Null: somebody sits at the keyboard.</summary>
    public string? Input { get; init; }

    public TimeProvider Time { get; init; } = new SteadyTime();

    public CancellationToken Stop { get; init; } = TestContext.Current.CancellationToken;

    public async Task<CliRun> RunAsync(params string[] args)
    {
        using var output = new MemoryStream();
        using var error = new StringWriter { NewLine = "\n" };
        var context = new CliContext(
            new Screen(output, error, Form), () => new MemoryStream(Encoding.UTF8.GetBytes(Input ?? "")),
            Input is not null, Time, Stop);
        int exit = await CommandLine.RunAsync(args, context);
        return new CliRun(exit, output.ToArray(), error.ToString());
    }
}

/// <summary>The wall clock stands at <see cref="SampleAnswers.Now"/>; who waits is woken at once.</summary>
internal sealed class SteadyTime : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => new(SampleAnswers.Now.ToDateTime());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime != Timeout.InfiniteTimeSpan)
            ThreadPool.QueueUserWorkItem(_ => callback(state));
        return new Rung();
    }

    private sealed class Rung : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

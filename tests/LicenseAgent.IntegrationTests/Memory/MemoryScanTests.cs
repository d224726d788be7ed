using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.Memory;

/// <summary>I01 in memory: where the bytes of secrets and of the keys derived from them are, and are not.</summary>
public sealed class MemoryScanTests(PressedTill till) : IClassFixture<PressedTill>
{
    // Debian's runtime maps more than this before it has done anything.
    private const long SearchedMin = 50 << 20;

    [Fact]
    public void After_ten_thousand_validations_and_a_rotation_no_secret_or_derived_key_stands_anywhere_in_clear()
    {
        Assert.Equal(10_000, till.Answered);
        Assert.True(till.Running.Bytes > SearchedMin, $"Only {till.Running.Bytes} bytes were searched.");
        Assert.Empty(Secrets(till.Running));
    }

    [Fact]
    public void The_locked_pages_were_searched_and_hold_something()
    {
        Assert.True(till.Running.LockedBytes >= 4096, $"{till.Running.LockedBytes} locked bytes");

        // A key for the masks, and the masked token and proof keys of two versions.
        long used = till.Running.UsedLockedBytes;
        Assert.True(used > 5 * 32 * 7 / 8, $"{used} bytes are not zero");
    }

    [Fact]
    public void The_collector_has_moved_what_was_there_before_the_validations()
    {
        Assert.NotEmpty(till.Moved.Before);
        Assert.NotEmpty(till.Moved.After);
        Assert.NotEqual(till.Moved.Before, till.Moved.After);
    }

    [Fact]
    public void After_a_clean_stop_no_secret_stands_anywhere_and_no_page_is_locked()
    {
        Assert.True(till.Stopped.Bytes > SearchedMin, $"Only {till.Stopped.Bytes} bytes were searched.");
        Assert.Empty(Secrets(till.Stopped));
        Assert.Equal(0, till.Stopped.LockedBytes);

        // It was held where it says this and nothing else, with everything it owned disposed of.
        Assert.Equal(["agent_stopped"], till.SaidAtStop.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Contains("agent_stopped", StringComparison.Ordinal) ? "agent_stopped" : line));
    }

    [Fact]
    public void The_same_scan_finds_what_the_agent_keeps_unprotected() =>
        Assert.Contains(till.Running.Found, s => s.Needle == till.Control().Name);

    [Fact]
    public async Task The_same_scan_finds_every_form_of_a_key_in_a_process_that_keeps_copies()
    {
        byte[] key = System.Security.Cryptography.RandomNumberGenerator.GetBytes(32);
        const string Program = """
            import base64, sys, time
            key = bytes.fromhex(sys.argv[1])
            text = base64.urlsafe_b64encode(key).decode()
            forms = (key.hex(), key.hex().upper(), text)
            keep = [*forms, *(form.encode('utf-16-le') for form in forms)]
            print('kept', flush=True)
            time.sleep(600)
            """;
        await using ChildProcess process = await ChildProcess.StartAsync(
            "python3", ["-c", Program, Convert.ToHexStringLower(key)]);
        await process.WaitForLineAsync("kept", TestContext.Current.CancellationToken);
        Needle[] needles = [.. Needles.Forms("key", key)];
        process.Stop();

        Scan scan = ProcessImage.Search(process.Id, needles);

        Assert.Equal(needles.Select(n => n.Name).Order(), scan.Found.Select(s => s.Needle).Distinct().Order());
    }

    private IEnumerable<Sighting> Secrets(Scan scan) => scan.Found.Where(s => s.Needle != till.Control().Name);
}

using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Protocol.Vectors;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Audit;

/// <summary>What somebody with an editor can do to a log, and what verification says (I18, I19).</summary>
public sealed class AuditTamperTests
{
    [Fact]
    public void An_untouched_log_has_no_finding()
    {
        LogText log = LogText.Small();
        AuditVerifyResponse result = log.Verify(log.End);
        Assert.True(result.Ok);
        Assert.Equal((1, 8, log.End.Head, 2, 0),
            (result.FirstSeq, result.LastSeq, result.Head, result.Checkpoints, result.Torn));
    }

    [Theory]
    [InlineData(0x01)]
    [InlineData(0x20)]
    [InlineData(0x80)]
    public void Any_flipped_byte_is_found_and_its_line_named(byte mask)
    {
        byte[] bytes = LogText.Small().Bytes;
        int line = 1;
        for (int i = 0; i < bytes.Length; i++)
        {
            bool newline = bytes[i] == '\n';
            bytes[i] ^= mask;
            AuditVerifyResponse result = LogText.Verify(bytes);
            Assert.False(result.Ok, $"Byte {i} was flipped and nothing found.");
            Assert.Equal((i, line), (i, result.Findings[0].Line));
            bytes[i] ^= mask;
            line += newline ? 1 : 0;
        }
    }

    [Fact]
    public void One_flipped_byte_is_one_finding_unless_it_joins_lines()
    {
        byte[] bytes = LogText.Small().Bytes;
        for (int i = 0; i < bytes.Length; i += 7)
        {
            if (bytes[i] == '\n')
                continue;
            bytes[i] ^= 1;
            Assert.Single(LogText.Verify(bytes).Findings);
            bytes[i] ^= 1;
        }
    }

    [Fact]
    public void A_removed_line_is_found_wherever_it_stood()
    {
        // The last one is a cut tail, which only an anchor shows.
        for (int k = 0; k < 7; k++)
        {
            LogText log = LogText.Small();
            log.Lines.RemoveAt(k);
            AuditFinding first = log.Verify().Findings[0];
            Assert.Equal((k + 1, k == 0 ? "wrong_beginning" : "missing"), ((int)first.Line, first.Code));
        }
    }

    [Fact]
    public void A_repeated_line_is_found_wherever_it_stands()
    {
        for (int k = 0; k < 8; k++)
        {
            LogText log = LogText.Small();
            log.Lines.Insert(k + 1, log.Lines[k]);
            Assert.Contains($"{k + 2} out_of_order", LogText.Codes(log.Verify()));
        }
    }

    [Fact]
    public void Swapped_lines_are_found()
    {
        for (int k = 0; k < 7; k++)
        {
            LogText log = LogText.Small();
            (log.Lines[k], log.Lines[k + 1]) = (log.Lines[k + 1], log.Lines[k]);
            Assert.Contains($"{k + 2} out_of_order", LogText.Codes(log.Verify()));
        }
    }

    [Fact]
    public void A_line_replaced_by_one_with_a_right_hash_is_found_at_the_next_line()
    {
        LogText log = LogText.Small();
        AuditPoint before = new LogText().Add("agent_started").End;
        log.Lines[1] = new LogText(after: before).AddValidation(9).Lines[0];
        Assert.Equal(["3 chain_broken"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_log_hashed_anew_from_a_changed_line_on_contradicts_its_checkpoint()
    {
        // The attacker hashes everything again and keeps the signed checkpoint, which signs another head.
        AuditPoint honest = new LogText().Add("agent_started").AddValidation(1).AddValidation(2).End;
        LogText forged = new LogText().Add("agent_started").AddValidation(1).AddValidation(9).AddCheckpoint(honest);
        Assert.Equal(["4 checkpoint_content"], LogText.Codes(forged.Verify()));
    }

    [Fact]
    public void A_checkpoint_signed_by_another_key_is_found()
    {
        LogText log = new LogText().Add("agent_started").AddCheckpoint(key: FixedEcKey.Named("attacker"));
        Assert.Equal(["2 checkpoint_signature"], LogText.Codes(log.Verify()));
    }

    [Theory]
    [InlineData(4, 2)]
    [InlineData(5, 1)]
    public void A_checkpoint_that_goes_back_is_found(long generation, long resetCount)
    {
        LogText log = new LogText().Add().AddCheckpoint().Add().AddCheckpoint(null, null, generation, resetCount);
        Assert.Equal(["4 checkpoint_content"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void An_old_checkpoint_cannot_stand_for_a_new_one()
    {
        LogText log = new LogText().Add();
        AuditPoint old = log.End;
        log.AddCheckpoint().Add().AddCheckpoint(old);
        Assert.Equal(["4 checkpoint_content"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_checkpoint_of_another_agent_is_found()
    {
        LogText log = new LogText().Add().AddCheckpoint(agentId: "pos-002");
        Assert.Equal(["2 checkpoint_content"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_checkpoint_may_lag_behind_the_records_written_while_the_tpm_signed()
    {
        LogText log = new LogText().Add();
        AuditPoint point = log.End;
        log.AddMany(5_000).AddCheckpoint(point);
        Assert.True(log.Verify().Ok);
    }

    [Fact]
    public void The_log_of_another_agent_is_found() =>
        Assert.Equal(["1 wrong_beginning"], LogText.Codes(new LogText(agentId: "pos-002").Add().Verify()));

    [Fact]
    public void A_cut_tail_is_found_by_an_anchor_and_by_nothing_else()
    {
        LogText log = LogText.Small();
        AuditPoint end = log.End;
        log.Lines.RemoveRange(5, 3);
        Assert.True(log.Verify().Ok);
        Assert.Equal(["5 tail_cut"], LogText.Codes(log.Verify(end)));
    }

    [Fact]
    public void An_anchor_of_another_history_is_found_at_its_record()
    {
        var other = new AuditPoint(3, Digest32.Sha256("other"u8));
        Assert.Equal(["3 anchor_mismatch"], LogText.Codes(LogText.Small().Verify(other)));
    }

    [Fact]
    public void Removing_every_checkpoint_of_a_long_log_is_found_as_overdue()
    {
        LogText log = new LogText().AddMany(1_000);
        log.UpMs += 14 * 60_000;
        log.AddMany(10);
        Assert.True(log.Verify().Ok);
        log.UpMs += 60_000;
        log.AddMany(10);
        Assert.Equal(["1011 checkpoint_overdue"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_quiet_log_is_overdue_after_an_hour_and_the_agents_patience()
    {
        LogText log = new LogText().Add();
        log.UpMs += 3_600_000;
        log.Add();
        log.UpMs += 900_000;
        log.Add();
        Assert.Equal(["3 checkpoint_overdue"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_till_that_slept_for_hours_is_not_overdue()
    {
        LogText log = new LogText().Add();
        log.UpMs += 12 * 3_600_000;
        log.Add().AddCheckpoint().Add();
        Assert.True(log.Verify().Ok);
    }

    [Fact]
    public void A_stretch_without_checkpoint_is_no_finding_where_the_agent_said_why()
    {
        LogText log = new LogText().AddMany(1_500).Add(AuditCheckpoint.MissedEvent);
        log.UpMs += 20 * 60_000;
        Assert.True(log.AddMany(10).Verify().Ok);
    }

    [Fact]
    public void A_torn_last_line_is_counted_and_no_finding_wherever_it_was_torn()
    {
        LogText log = LogText.Small();
        int whole = log.Bytes.Length - log.Lines[^1].Length;
        for (int length = whole; length < log.Bytes.Length; length++)
        {
            AuditVerifyResponse result = LogText.Verify(log.Bytes[..length]);
            Assert.Equal((true, length - whole, 7), (result.Ok, (int)result.Torn, (int)result.LastSeq));
        }
    }

    [Fact]
    public void Zeros_at_the_end_are_what_a_power_cut_leaves_and_no_finding() =>
        Assert.True(LogText.Verify([.. LogText.Small().Bytes, .. new byte[4096]]).Ok);

    [Fact]
    public void A_record_that_an_anchor_knows_cannot_be_torn()
    {
        LogText log = LogText.Small();
        Assert.Equal(["7 tail_cut"], LogText.Codes(LogText.Verify(log.Bytes[..^9], log.End)));
    }

    [Fact]
    public void Lines_without_end_and_rubbish_without_end_are_findings_and_do_no_harm()
    {
        byte[] rubbish = [.. LogText.Small().Bytes, .. Enumerable.Repeat((byte)'x', 100_000), (byte)'\n'];
        Assert.Equal(["9 malformed"], LogText.Codes(LogText.Verify(rubbish)));
        byte[] lines = [.. Enumerable.Repeat("x\n"u8.ToArray(), 5_000).SelectMany(l => l)];
        Assert.Equal(AuditVerifier.FindingsMax, LogText.Verify(lines).Findings.Count);
    }

    [Fact]
    public void The_size_of_the_pieces_it_is_fed_in_changes_nothing()
    {
        LogText log = LogText.Small();
        byte[] bytes = log.Bytes;
        bytes[2_000] ^= 1;
        string[] expected = LogText.Codes(LogText.Verify(bytes));
        for (int chunk = 1; chunk < 700; chunk += 23)
        {
            AuditVerifyResponse result = LogText.Verify([("audit.log", bytes)], [], chunk);
            Assert.Equal(expected, LogText.Codes(result));
        }
    }

    [Fact]
    public void A_transition_recorded_again_after_a_crash_is_counted_once()
    {
        LogText log = LogText.Small().Add("generation_committed", "op-1");
        LogText.Verify([("audit.log", log.Bytes)], [], int.MaxValue, out long transitions);
        Assert.Equal(2, transitions);
    }
}

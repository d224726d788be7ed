using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>What was written to a log since somebody asked.</summary>
public sealed class SimAuditTests
{
    private readonly SimAudit _audit = new(new DiskTroubles());
    private readonly SimRandom _chance = SimRandom.Of(1, "audit", "test");

    [Fact]
    public void A_record_of_before_the_question_is_not_its_record()
    {
        _audit.Append("nonce\n"u8, _chance);
        LogPlace asked = _audit.End;

        Assert.False(_audit.HasSince(asked, "nonce"u8));
        _audit.Append("nonce\n"u8, _chance);
        Assert.True(_audit.HasSince(asked, "nonce"u8));
    }

    [Fact]
    public void A_record_is_found_in_the_file_that_was_closed_behind_it()
    {
        _audit.Append("nonce\n"u8, _chance);
        _audit.Close("one");
        _audit.Append("other\n"u8, _chance);
        LogPlace asked = _audit.End;
        _audit.Append("nonce\n"u8, _chance);
        _audit.Close("two");

        Assert.True(_audit.HasSince(asked, "nonce"u8));
        Assert.False(_audit.HasSince(asked, "other"u8));
        Assert.False(_audit.HasSince(_audit.End, "nonce"u8));
    }

    [Fact]
    public void A_file_that_was_retired_meanwhile_takes_nothing_away()
    {
        _audit.Append("old\n"u8, _chance);
        _audit.Close("one");
        LogPlace asked = _audit.End;
        _audit.Append("nonce\n"u8, _chance);
        _audit.Move("one", null);

        Assert.True(_audit.HasSince(asked, "nonce"u8));
    }
}

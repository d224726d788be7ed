using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

/// <summary>Who is let in to a full house, and at whose cost.</summary>
public sealed class ConnectionGateTests
{
    private readonly ManualTime _time = new();
    private readonly List<uint> _cut = [];

    [Fact]
    public void Connections_are_limited_per_UID_and_in_all()
    {
        ConnectionGate gate = Gate(perUid: 2, inAll: 3);
        ConnectionSlot first = Admit(gate, 1);
        Admit(gate, 1);
        Assert.Equal(Admission.TooMany, Enter(gate, 1).Admission);
        Admit(gate, 2);
        gate.Leave(first);
        Admit(gate, 3);
        Assert.Equal(Admission.TooMany, Enter(gate, 4).Admission);
    }

    [Fact]
    public void An_unlisted_peer_is_not_counted()
    {
        ConnectionGate gate = Gate(perUid: 1, inAll: 1);
        Assert.Equal(Admission.NotAllowed, Enter(gate, 9).Admission);
        Admit(gate, 1);
    }

    [Fact]
    public void Four_users_with_all_their_connections_do_not_keep_a_fifth_one_out()
    {
        ConnectionGate gate = Gate(perUid: 64, inAll: 256);
        for (uint uid = 1; uid <= 4; uid++)
            Fill(gate, uid, 64);
        Admit(gate, 5);
        Assert.Single(_cut);
    }

    [Fact]
    public void A_newcomer_comes_up_to_its_share_and_no_further()
    {
        ConnectionGate gate = Gate(perUid: 64, inAll: 256);
        for (uint uid = 1; uid <= 4; uid++)
            Fill(gate, uid, 64);
        int got = 0;
        for (; Enter(gate, 5) is { Slot: not null }; got++)
            LeaveCut(gate);
        Assert.Equal(51, got);
    }

    [Fact]
    public void Of_the_greediest_user_the_connection_idle_for_longest_goes()
    {
        ConnectionGate gate = Gate(perUid: 3, inAll: 4);
        Admit(gate, 2);
        ConnectionSlot[] slots = [.. Enumerable.Range(0, 3).Select(_ => Admit(gate, 1))];
        foreach (int i in (int[])[1, 0, 2])
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            Ask(slots[i]);
        }

        Admit(gate, 3);
        Assert.Equal([false, true, false], slots.Select(slot => !slot.TryBegin()));
    }

    [Fact]
    public void A_user_with_one_connection_fewer_takes_nothing_from_the_other()
    {
        ConnectionGate gate = Gate(perUid: 4, inAll: 3);
        Fill(gate, 1, 2);
        Fill(gate, 2, 1);
        Assert.Equal(Admission.TooMany, Enter(gate, 2).Admission);
        Assert.Empty(_cut);
    }

    [Fact]
    public void A_request_that_is_being_answered_is_never_cut_off()
    {
        ConnectionGate gate = Gate(perUid: 2, inAll: 2);
        Assert.True(Admit(gate, 1).TryBegin());
        Assert.True(Admit(gate, 1).TryBegin());
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(Admission.TooMany, Enter(gate, 2).Admission);
    }

    [Theory]
    [InlineData(1000, false)]
    [InlineData(1001, true)]
    public void An_answer_that_nobody_reads_holds_its_place_for_a_second(int ms, bool given)
    {
        ConnectionGate gate = Gate(perUid: 2, inAll: 2);
        foreach (ConnectionSlot slot in Fill(gate, 1, 2))
        {
            slot.TryBegin();
            slot.Send();
        }

        _time.Advance(TimeSpan.FromMilliseconds(ms));
        Assert.Equal(given, Enter(gate, 2).Slot is not null);
    }

    [Fact]
    public void Where_the_greediest_is_busy_the_next_one_with_more_gives()
    {
        ConnectionGate gate = Gate(perUid: 3, inAll: 5);
        foreach (ConnectionSlot slot in Fill(gate, 1, 3))
            slot.TryBegin();
        Fill(gate, 2, 2);
        Assert.Equal(2u, Enter(gate, 3).MadeRoom?.Uid);
    }

    [Fact]
    public void On_a_place_that_was_given_away_no_request_begins()
    {
        ConnectionGate gate = Gate(perUid: 2, inAll: 2);
        ConnectionSlot[] slots = Fill(gate, 1, 2);
        Admit(gate, 2);
        Assert.Equal([1u], _cut);
        Assert.Single(slots, slot => !slot.TryBegin());
    }

    [Fact]
    public void After_a_request_its_connection_waits_for_the_next()
    {
        ConnectionSlot slot = Admit(Gate(perUid: 1, inAll: 1), 1);
        Ask(slot);
        Assert.True(slot.TryBegin());
        slot.End();
        Assert.True(slot.IsIdle);
    }

    [Fact]
    public void No_more_than_sixteen_are_closed_before_they_are_gone()
    {
        ConnectionGate gate = Gate(perUid: 64, inAll: 64);
        Fill(gate, 1, 64);
        Fill(gate, 2, 16);
        Assert.Equal(Admission.TooMany, Enter(gate, 3).Admission);
        LeaveCut(gate);
        Admit(gate, 3);
    }

    [Fact]
    public void What_was_closed_and_leaves_is_not_counted_twice()
    {
        ConnectionGate gate = Gate(perUid: 2, inAll: 2);
        Fill(gate, 1, 2);
        Admit(gate, 2);
        LeaveCut(gate);
        Assert.Equal(Admission.TooMany, Enter(gate, 2).Admission);
    }

    private readonly List<ConnectionSlot> _all = [];

    private static void Ask(ConnectionSlot slot)
    {
        Assert.True(slot.TryBegin());
        slot.Send();
        slot.End();
    }

    private ConnectionGate Gate(int perUid, int inAll) => new(
        PeerAccess.Of(new PosConfig(
            "", [1, 2, 3, 4, 5], [], 1, 1, 1, 1, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 4096, 4096)),
        perUid, inAll, _time);

    private ConnectionSlot[] Fill(ConnectionGate gate, uint uid, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => Admit(gate, uid))];

    private ConnectionSlot Admit(ConnectionGate gate, uint uid) =>
        Enter(gate, uid).Slot ?? throw new InvalidOperationException($"{uid} was not let in.");

    private Entrance Enter(ConnectionGate gate, uint uid)
    {
        Entrance entrance = gate.Enter(new PeerCredentials(uid, uid, 1), () => _cut.Add(uid));
        if (entrance.Slot is { } slot)
            _all.Add(slot);
        return entrance;
    }

    /// <summary>The connections that were cut are taken down.</summary>
    private void LeaveCut(ConnectionGate gate)
    {
        foreach (ConnectionSlot slot in _all.Where(s => !s.TryBegin()).ToArray())
        {
            gate.Leave(slot);
            _all.Remove(slot);
        }

        _all.ForEach(slot => slot.End());
    }
}

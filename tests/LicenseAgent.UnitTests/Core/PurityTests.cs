using System.Collections;
using System.Collections.Immutable;
using System.Reflection;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The step is a function: what comes out depends on what goes in, and nothing that went in changes.</summary>
public sealed class PurityTests
{
    [Fact]
    public void The_same_input_gives_the_same_state_and_effects_for_every_pair_of_activity_and_event()
    {
        Now now = new("boot-1", CoreDriver.FirstBootMs + 5, CoreDriver.FirstBootMs, Given.Start, 987_654_321);
        foreach ((string activity, string happened) in PossiblePairs())
        {
            AgentState state = EventTable.StateIn(activity);
            AgentEvent e = EventTable.Event(happened, activity);
            string before = Structure.Of(state);
            string first = Structure.Of(AgentCore.Step(state, e, now));
            string second = Structure.Of(AgentCore.Step(state, e, now));
            Assert.Equal(first, second);
            Assert.Equal(before, Structure.Of(state));
        }
    }

    [Fact]
    public void Another_draw_changes_waits_and_request_ids_alone()
    {
        AgentState state = EventTable.StateIn("Idle") with { RotateTickets = [1] };
        Now one = new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 1);
        RequestPlan.Prepare a = Prepared(AgentCore.Step(state, new AgentEvent.Ticked(), one));
        Now other = one with { Chance = UInt128.MaxValue };
        RequestPlan.Prepare b = Prepared(AgentCore.Step(state, new AgentEvent.Ticked(), other));
        Assert.NotEqual(a.RequestId, b.RequestId);
        Assert.Equal(a.Intent with { RequestId = "" }, b.Intent with { RequestId = "" });
    }

    [Fact]
    public void The_state_is_made_of_values_that_cannot_change()
    {
        List<string> mutable = [];
        Visit(typeof(AgentState), nameof(AgentState), [], mutable);
        Assert.Empty(mutable);
    }

    [Fact]
    public void The_core_has_no_state_of_its_own()
    {
        IEnumerable<FieldInfo> statics = typeof(AgentCore).Assembly.GetTypes()
            .SelectMany(t => t.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Where(f => !f.IsLiteral && !f.Name.Contains('<', StringComparison.Ordinal));
        Assert.All(statics, f => Assert.True(f.IsInitOnly && IsImmutable(f.FieldType), $"{f.DeclaringType}.{f.Name}"));
    }

    private static RequestPlan.Prepare Prepared(StepResult result) =>
        Assert.IsType<RequestPlan.Prepare>(Assert.IsType<AgentEffect.Send>(result.Effects[^1]).Plan);

    private static IEnumerable<(string Activity, string Happened)> PossiblePairs() =>
        from activity in EventTable.Activities
        from happened in EventTable.Ending.Keys.Concat(EventTable.Beside)
        where EventTable.FateOf(activity, happened) != Fate.Broken
        select (activity, happened);

    /// <summary>Every property reachable is init-only and of an immutable type; lists of the wire are read-only.</summary>
    private static void Visit(Type type, string path, HashSet<Type> seen, List<string> mutable)
    {
        if (!seen.Add(type) || IsLeaf(type))
        {
            return;
        }

        if (typeof(IEnumerable).IsAssignableFrom(type))
        {
            if (!IsImmutable(type))
            {
                mutable.Add($"{path}: {type.Name}");
            }

            foreach (Type argument in type.GetGenericArguments())
            {
                Visit(argument, $"{path}[]", seen, mutable);
            }

            return;
        }

        foreach (PropertyInfo property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            MethodInfo? set = property.SetMethod;
            bool initOnly = set is null || set.ReturnParameter.GetRequiredCustomModifiers()
                .Contains(typeof(System.Runtime.CompilerServices.IsExternalInit));
            if (!initOnly)
            {
                mutable.Add($"{path}.{property.Name} can be set");
            }

            Visit(property.PropertyType, $"{path}.{property.Name}", seen, mutable);
        }

        foreach (Type derived in type.GetNestedTypes().Where(t => t.IsSubclassOf(type)))
        {
            Visit(derived, $"{path}.{derived.Name}", seen, mutable);
        }
    }

    private static bool IsLeaf(Type type) =>
        type.IsPrimitive || type.IsEnum || type == typeof(string) || type == typeof(object) || type == typeof(Type)
        || type == typeof(ReadOnlyMemory<byte>) || type == typeof(TimeSpan)
        || type.Namespace == "LicenseAgent.Protocol.Encoding";

    private static bool IsImmutable(Type type) =>
        IsLeaf(type) || type.Namespace == typeof(ImmutableArray).Namespace
        || (type.IsGenericType && type.GetGenericTypeDefinition() is { } open
            && (open == typeof(IReadOnlyList<>) || open == typeof(IEnumerable<>)))
        || type.GetMethod("<Clone>$") is not null;
}

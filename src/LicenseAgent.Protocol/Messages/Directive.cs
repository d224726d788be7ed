using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>
/// An order that holds as long as check-in answers carry it. On the wire an object with <c>type</c> and at most one
/// further member. A type this agent does not know is kept as <see cref="UnknownDirective"/> and has no effect.
/// </summary>
[JsonConverter(typeof(DirectiveJsonConverter))]
public abstract record Directive;

/// <summary>LOCKED until a check-in answer no longer carries it.</summary>
public sealed record SuspendDirective : Directive;

/// <summary>Grace ends at the latest at <paramref name="Until"/>; it can only shorten.</summary>
public sealed record LimitGraceDirective(UtcTime Until) : Directive;

/// <summary>Every version below <paramref name="Version"/> is INVALIDATED at once, PENDING included.</summary>
public sealed record InvalidateBelowDirective(long Version) : Directive;

/// <summary>Rotate at once while ACTIVE is at or below <paramref name="Above"/>.</summary>
public sealed record RotateNowDirective(long Above) : Directive;

/// <summary>The operator wants the till enrolled anew; an alert, no change of mode.</summary>
public sealed record ReEnrollDirective : Directive;

/// <summary>A type from a newer server: has no effect and is reported in the operational log.</summary>
public sealed record UnknownDirective(string Type) : Directive;

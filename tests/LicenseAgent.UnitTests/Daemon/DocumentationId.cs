using System.Reflection;

namespace LicenseAgent.UnitTests.Daemon;

/// <summary>Names of members as the compiler writes them into documentation files.</summary>
internal static class DocumentationId
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>All public members of a type, and the type.</summary>
    public static IEnumerable<string> OfMembers(Type type)
    {
        string name = type.FullName!.Replace('+', '.');
        yield return $"T:{name}";
        foreach (var property in type.GetProperties(Declared))
            yield return $"P:{name}.{property.Name}";
        foreach (var constructor in type.GetConstructors())
            yield return $"M:{name}.#ctor{Parameters(constructor)}";
        foreach (var method in type.GetMethods(Declared))
        {
            string arity = method.IsGenericMethod ? $"``{method.GetGenericArguments().Length}" : "";
            yield return $"M:{name}.{method.Name}{arity}{Parameters(method)}";
        }
    }

    private static string Parameters(MethodBase method)
    {
        string list = string.Join(",", method.GetParameters().Select(parameter => Of(parameter.ParameterType)));
        return list == "" ? "" : $"({list})";
    }

    private static string Of(Type type)
    {
        if (type.HasElementType)
            return Of(type.GetElementType()!) + (type.IsByRef ? "@" : type.IsPointer ? "*" : "[]");
        if (type.IsGenericParameter)
            return (type.IsGenericMethodParameter ? "``" : "`") + type.GenericParameterPosition;
        if (!type.IsGenericType)
            return type.FullName!.Replace('+', '.');
        string name = type.GetGenericTypeDefinition().FullName!;
        return $"{name[..name.IndexOf('`', StringComparison.Ordinal)]}"
            + $"{{{string.Join(",", type.GetGenericArguments().Select(Of))}}}";
    }
}

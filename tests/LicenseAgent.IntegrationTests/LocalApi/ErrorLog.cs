using Microsoft.Extensions.Logging;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>Keeps what is logged as an error: Kestrel's word for an exception that a handler let through.</summary>
internal sealed class ErrorLog : ILoggerFactory, ILogger
{
    public List<string> Errors { get; } = [];

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        lock (Errors)
            Errors.Add($"{formatter(state, exception)} {exception}");
    }

    public void Dispose()
    {
    }
}

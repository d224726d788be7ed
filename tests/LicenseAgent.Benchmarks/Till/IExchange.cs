namespace LicenseAgent.Benchmarks.Till;

/// <summary>One connection with at most one request open.</summary>
internal interface IExchange : IDisposable
{
    void Send();

    void Receive();
}

using LicenseAgent.Sim.Commands;

return SimCommandLine.Run(args, Console.Out, Console.Error);

using LicensePki;

return Commands.Run(args, TimeProvider.System, Console.Out, Console.Error);

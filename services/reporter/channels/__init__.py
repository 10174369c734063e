"""Ways of reaching people: by mail, by webhook, by a file. Each is a `port.Channel`."""

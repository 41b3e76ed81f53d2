module outrigger.dev/tests/peers/go-http

go 1.22

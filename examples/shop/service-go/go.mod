module outrigger.dev/examples/shop

go 1.21

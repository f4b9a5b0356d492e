module example.org/ledger/app

go 1.21

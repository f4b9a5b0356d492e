module example.org/ledger/lib

go 1.21

require example.org/greeting v1.2.0

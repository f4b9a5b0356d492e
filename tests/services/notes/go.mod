module example.org/notes

go 1.21

require example.org/greeting v1.2.0

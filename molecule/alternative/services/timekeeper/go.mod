module example.org/timekeeper

go 1.25

require example.org/phrases v0.1.0

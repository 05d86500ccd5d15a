# Prints the SQL that one of SQLite's test files gives its database, in order: a line each, as hex.
#
#   tclsh sqlite.tcl FILE
#
# The file runs in a safe interpreter in which commands that ask a database print what they ask, and all others that Tcl
# does not have do nothing. So loops and variables of the file are followed, and nothing is touched.
set file [open [lindex $argv 0] r]
fconfigure $file -encoding utf-8
set text [read $file]
set safe [interp create -safe]

set printed 0
proc print {sql} {
    # Some files fill tables in loops, or corrupt them: the beginning of that is enough.
    set sql [string trim $sql]
    if {[string length $sql] > 2000 || [incr ::printed] > 50000} return
    puts [binary encode hex [encoding convertto utf-8 $sql]]
}
interp alias $safe print {} print

$safe eval {
    set argv0 tester.tcl
    foreach waits {after vwait update gets} { proc $waits {args} { return "" } }
    proc unknown {args} { return "" }
    proc execsql {sql args} { print $sql; return "" }
    proc catchsql {sql args} { print $sql; return "" }
    proc db {args} { if {[lindex $args 0] in {eval one}} { print [lindex $args 1] }; return "" }
    proc ifcapable {args} { uplevel 1 [lindex $args 1] }
    proc do_test {name script expected} { catch { uplevel 1 $script } }
    proc do_execsql_test {args} {
        if {[lindex $args 0] eq "-db"} { set args [lrange $args 2 end] }
        print [lindex $args 1]
    }
    proc do_catchsql_test {name sql args} { print $sql }
    proc do_select_test {name sql args} { print $sql }
    proc do_select_tests {prefix tests} {
        foreach {name sql expected} [lindex [list $tests] 0] { print $sql }
    }
    # expr.test: columns are set, and an expression over them is selected.
    proc test_expr {name settings expression expected} {
        foreach {all column value} [regexp -all -inline {(\w+)\s*=\s*('[^']*'|[^,]+)} $settings] {
            regsub -all "\\m$column\\M" $expression "([string trim $value])" expression
        }
        print "SELECT $expression"
    }
    proc test_realnum_expr {args} { test_expr {*}$args }
    # e_expr.test: the value of an expression.
    proc do_expr_test {name expression type value} { print "SELECT $expression" }
    proc do_qexpr_test {name expression value} { print "SELECT $expression" }
    # These stay as they are here.
    set ours [info procs]
    rename proc define
    define proc {name arguments body} {
        if {$name ni $::ours} { uplevel 1 [list define $name $arguments $body] }
    }
}

# Of a file that never ends, what it asks until then.
$safe limit commands -value 1000000
set command ""
foreach line [split $text \n] {
    append command $line \n
    if {[info complete $command]} {
        catch { $safe eval $command }
        set command ""
    }
}

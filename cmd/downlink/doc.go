// Command downlink runs the message push service: pages log into rooms over Socket.IO, a backend posts to /push, and
// the pages get the data.
//
//	downlink                the same as downlink serve
//	downlink serve          runs the service until SIGINT or SIGTERM
//	downlink config check   says whether the settings are valid, and starts nothing
//	downlink version        prints the version
//	downlink --help         lists every setting
//
// # Settings
//
// Every setting is a flag, an environment variable DOWNLINK_<FLAG IN UPPER CASE> and a key of the YAML file that
// --config names. A flag wins over the environment, that over the file, that over the default. An empty environment
// variable counts as not set. Lists are separated by commas; in the file they may be YAML lists. A key the service
// does not know is an error, so that a misspelt one is not silently without effect.
//
// # Exit codes
//
//	0  stopped as asked, everything accepted was handed over
//	1  could not start or go on (a port or the data directory is in use), or did not stop within --drain
//	2  a setting is wrong
//
// Each non-zero exit comes with one line on standard error that names the flag, variable, file, address or directory.
//
// # Where things are
//
// main.go has the signals and exit codes, run.go the commands, config.go the settings and their checks, load.go where
// they come from, serve.go what starts after what, stop.go the stop in reverse, intake.go what a stop has to wait for.
// This is the only package that knows all others, and the only one that reads the environment.
package main

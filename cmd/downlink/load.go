package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// commandLine is what kong reads: the settings, valid with every command, and the commands.
type commandLine struct {
	Config

	Serve   struct{}  `cmd:"" default:"1" help:"Run the service (the default)."`
	Version struct{}  `cmd:"" help:"Print the version."`
	Conf    configCmd `cmd:"" name:"config" help:"Look at the settings."`
}

type configCmd struct {
	Check struct{} `cmd:"" help:"Say whether the settings are valid; start nothing."`
}

// errHelp says that help was asked for and printed.
var errHelp = errors.New("help was printed")

// load reads the command and the settings from args, the environment and the file --config names, and checks them.
// Its errors are one line that names where the wrong value stands.
func load(args []string, getenv func(string) string, stdout io.Writer) (command string, c Config, err error) {
	first := sources{getenv: getenv}
	line, command, err := first.parse(args, stdout)
	if err != nil || command == "version" || line.Config.Config == "" {
		return finish(line, command, &first, err)
	}
	// The file's name may come from the environment, so the settings are read again once it is known.
	values, err := readFile(line.Config.Config)
	if err != nil {
		return "", Config{}, fmt.Errorf("%s: %w", first.name("config"), err)
	}
	second := sources{getenv: getenv, file: line.Config.Config, values: values}
	line, command, err = second.parse(args, stdout)
	return finish(line, command, &second, err)
}

func finish(line commandLine, command string, s *sources, err error) (string, Config, error) {
	if err != nil || command == "version" {
		return command, line.Config, err
	}
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "" // nodeNameFrom has an answer for this too
	}
	line.settle(s.given, hostname)
	return command, line.Config, line.Validate(s.name)
}

// sources is where the settings of one parse come from. It is the one place that knows the precedence.
type sources struct {
	getenv func(string) string
	file   string            // the settings file's name, empty for none
	values map[string]string // the file's settings by flag name

	from    map[string]string // by flag name: what the value that won is called where it stands
	invalid error             // the first value of environment or file that its flag cannot take
}

// name is what the user wrote to give the flag its value; the flag itself for a default.
func (s *sources) name(flag string) string {
	if from, ok := s.from[flag]; ok {
		return from
	}
	return "--" + flag
}

func (s *sources) given(flag string) bool {
	_, ok := s.from[flag]
	return ok
}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return "DOWNLINK_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// lookup finds a value for a flag that is not on the command line.
func (s *sources) lookup(flag string) (value, from string, ok bool) {
	if v := s.getenv(envName(flag)); v != "" {
		return v, envName(flag), true
	}
	if v, ok := s.values[flag]; ok {
		return v, s.file + ": " + flag, true
	}
	return "", "", false
}

// Validate makes sources a kong.Resolver: it refuses keys of the file that are no settings.
func (s *sources) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, f := range app.Flags {
		known[f.Name] = f.Name != "help" && f.Name != "config"
	}
	keys := make([]string, 0, len(s.values))
	for key := range s.values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !known[key] {
			return fmt.Errorf("%s: unknown key %q", s.file, key)
		}
	}
	return nil
}

// Resolve makes sources a kong.Resolver. kong asks it only for flags that are not on the command line. The value is
// tried here first, because kong would blame the flag for what another source said.
func (s *sources) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if ctx.Command() == "version" {
		return nil, nil // a wrong environment is no reason not to say the version
	}
	value, from, ok := s.lookup(flag.Name)
	if !ok || flag.Name == "help" {
		return nil, nil
	}
	s.from[flag.Name] = from
	trial := &kong.DecodeContext{Value: flag.Value, Scan: kong.Scan().PushTyped(value, kong.FlagValueToken)}
	if err := flag.Mapper.Decode(trial, reflect.New(flag.Target.Type()).Elem()); err != nil {
		if s.invalid == nil {
			s.invalid = fmt.Errorf("%s: %w", from, err)
		}
		return nil, s.invalid
	}
	return value, nil
}

var flagWithDefault = regexp.MustCompile(`^(--[a-z0-9-]+)=\S+: `)

// parse reads the command line and, through Resolve, the other sources.
func (s *sources) parse(args []string, stdout io.Writer) (line commandLine, command string, err error) {
	s.from = map[string]string{}
	helped := false
	parser, err := kong.New(&line,
		kong.Name("downlink"),
		kong.Description("A message push service: pages log into rooms over Socket.IO, backends POST to /push.\n\n"+
			"Each setting may also be given as the environment variable shown after it, or in a YAML file (--config); "+
			"a flag wins over the environment, that over the file."),
		kong.ExplicitGroups([]kong.Group{
			{Key: "listen", Title: "Listeners:"},
			{Key: "socket", Title: "Sockets:"},
			{Key: "push", Title: "Pushes:"},
			{Key: "store", Title: "Store:"},
			{Key: "run", Title: "Process:"},
		}),
		kong.ConfigureHelp(kong.HelpOptions{FlagsLast: true, Compact: true}),
		kong.ValueFormatter(describe),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
		kong.Resolvers(s),
		kong.Writers(stdout, io.Discard),
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return line, "", fmt.Errorf("read the settings: %w", err)
	}
	ctx, err := parser.Parse(args)
	switch {
	case helped:
		return line, "", errHelp
	case s.invalid != nil:
		return line, "", s.invalid
	case err != nil:
		text := flagWithDefault.ReplaceAllString(err.Error(), "$1: ")
		if flag, _, ok := strings.Cut(text, ": expected "); ok && strings.HasSuffix(text, "(<EOL>)") {
			text = flag + ": needs a value"
		}
		return line, "", errors.New(text)
	}
	for _, p := range ctx.Path {
		if p.Flag != nil && !p.Resolved {
			s.from[p.Flag.Name] = "--" + p.Flag.Name
		}
	}
	return line, ctx.Command(), nil
}

// describe is a setting's line in --help.
func describe(v *kong.Value) string {
	switch {
	case v.Name == "help":
		return v.Help
	case v.HasDefault:
		return fmt.Sprintf("%s [default %s, $%s]", v.Help, v.Default, envName(v.Name))
	}
	return fmt.Sprintf("%s [$%s]", v.Help, envName(v.Name))
}

func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a time like 500ms, 1s or 2m", text)
	}
	target.SetInt(int64(d))
	return nil
}

// readFile reads a settings file: one YAML mapping of flag names to scalars or lists of scalars.
func readFile(name string) (map[string]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var raw map[string]any
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&raw); err != nil && !errors.Is(err, io.EOF) { // io.EOF: a file without settings
		reason, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return nil, fmt.Errorf("%s: %s", name, reason)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document", name)
	}
	values := make(map[string]string, len(raw))
	for key, v := range raw {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		parts := make([]string, len(list))
		for i, item := range list {
			switch item.(type) {
			case nil, map[string]any, []any:
				return nil, fmt.Errorf("%s: %s: must be a value or a list of values", name, key)
			}
			parts[i] = fmt.Sprint(item)
		}
		values[key] = strings.Join(parts, ",")
	}
	return values, nil
}

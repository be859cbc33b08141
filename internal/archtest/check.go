package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is one Go file.
type source struct {
	name    string // path from the repository's root
	pkg     string // the directory; "." for the root
	test    bool
	imports []string
	file    *ast.File
	lines   int
}

// check returns what breaks the rules in the repository root, one line per breach.
func check(root fs.FS) ([]string, error) {
	sources, err := read(root)
	if err != nil {
		return nil, err
	}
	var breaches []string
	report := func(format string, args ...any) { breaches = append(breaches, fmt.Sprintf(format, args...)) }
	documented := map[string]bool{}
	for _, s := range sources {
		explains := s.file.Doc != nil && (path.Base(s.name) == "doc.go" || s.file.Name.Name == "main")
		documented[s.pkg] = documented[s.pkg] || explains
		checkOwners(s, report)
		if s.test {
			continue
		}
		checkImports(s, report)
		checkHabits(s, report)
	}
	for pkg, ok := range documented {
		if !ok && pkg != "." {
			report("%s: has no doc.go with a package comment; every package explains itself to a newcomer", pkg)
		}
	}
	slices.Sort(breaches)
	return breaches, nil
}

func checkImports(s source, report func(string, ...any)) {
	rule := slices.IndexFunc(packages, func(r packageRule) bool { return matches(r.pkg, s.pkg) })
	if rule < 0 {
		report("%s: package %s has no rule in internal/archtest; a new package needs a reason", s.name, s.pkg)
		return
	}
	for _, imported := range s.imports {
		forTests := matchesAny(testOnly, imported) || matchesAny(testSupport, imported)
		if forTests && slices.Contains(testSupport, s.pkg) {
			continue
		}
		if forTests {
			report("%s: imports %s: it is for tests only", s.name, imported)
			continue
		}
		if isStd(imported) || matchesAny(packages[rule].imports, imported) || below(packages[rule].pkg, imported) {
			continue
		}
		report("%s: imports %s: %s", s.name, imported, packages[rule].reason)
	}
}

func checkOwners(s source, report func(string, ...any)) {
	for _, imported := range s.imports {
		for _, o := range owners {
			if matches(o.library, imported) && !matchesAny(o.owner, s.pkg) {
				report("%s: imports %s, which belongs to %s: %s", s.name, imported, strings.Join(o.owner, ", "), o.reason)
			}
		}
	}
}

func checkHabits(s source, report func(string, ...any)) {
	if s.lines > maxFileLines && !ast.IsGenerated(s.file) {
		report("%s: has %d lines; above %d a file is split by concept", s.name, s.lines, maxFileLines)
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				report("%s: has an init function: nothing happens by importing", s.name)
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok || x.Obj != nil {
				return true
			}
			for _, f := range forbidden {
				allowed := f.mains && s.file.Name.Name == "main" || matchesAny(f.except, s.pkg)
				if x.Name+"."+n.Sel.Name == f.call && !allowed {
					report("%s: uses %s: %s", s.name, f.call, f.reason)
				}
			}
		}
		return true
	})
}

func read(root fs.FS) ([]source, error) {
	var sources []source
	files := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			foreign := strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || nested(root, name)
			if name != "." && foreign {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(files, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{
			name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), file: file,
			lines: strings.Count(string(text), "\n"),
		}
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: import %s: %w", name, i.Path.Value, err)
			}
			s.imports = append(s.imports, imported)
		}
		sources = append(sources, s)
		return nil
	})
	return sources, err
}

// nested tells whether dir is a module of its own, which has its own rules.
func nested(root fs.FS, dir string) bool {
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

// matches compares a rule's pattern with an import path or with a package's directory.
func matches(pattern, imported string) bool {
	if imported == module {
		imported = "."
	}
	imported = strings.TrimPrefix(imported, module+"/")
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return imported == prefix || strings.HasPrefix(imported, prefix+"/")
	}
	return imported == pattern
}

func matchesAny(patterns []string, imported string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, imported) })
}

// below tells whether imported is in the tree the rule for pkg is about: a tree may import itself.
func below(pkg, imported string) bool {
	return strings.HasSuffix(pkg, "/...") && matches(pkg, imported)
}

// isStd tells whether imported is of the standard library: its first element has no dot and is not our module.
func isStd(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first != module
}

// Command argocd-health reads objects of Kubernetes as JSON, one after the other, and prints how healthy Argo CD holds each to be by a health script of a
// user: one line an object, a health, a space, and the message as a JSON string.
//
// Scripts run as in Argo CD: in its interpreter, with the object as the global obj, and with the few libraries that it opens for scripts of argocd-cm,
// which have neither strings nor mathematics nor files.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// limit is the time that Argo CD gives a script.
const limit = time.Second

// healths are the words that Argo CD takes from a script.
var healths = []string{"Unknown", "Progressing", "Suspended", "Healthy", "Degraded", "Missing"}

// libraries are what a script may use. Of the library os Argo CD offers the clock alone, and nothing here needs it.
var libraries = []struct {
	name string
	open lua.LGFunction
}{
	{lua.LoadLibName, lua.OpenPackage},
	{lua.BaseLibName, lua.OpenBase},
	{lua.TabLibName, lua.OpenTable},
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "argocd-health:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("give the text of the script, and nothing else")
	}
	decoder := json.NewDecoder(bufio.NewReader(in))
	printer := bufio.NewWriter(out)
	for {
		var object map[string]any
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return printer.Flush()
		} else if err != nil {
			return err
		}
		health, message, err := judge(object, args[0])
		if err != nil {
			return err
		}
		quoted, err := json.Marshal(message)
		if err != nil {
			return err
		}
		fmt.Fprintf(printer, "%s %s\n", health, quoted)
	}
}

// judge is what Argo CD says: of an object on its way out without asking the script.
func judge(object map[string]any, script string) (health, message string, err error) {
	if metadata, _ := object["metadata"].(map[string]any); metadata["deletionTimestamp"] != nil {
		return "Progressing", "Pending deletion", nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range libraries {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return "", "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	table, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return "", "", fmt.Errorf("the script returns a %s, and not a table", state.Get(-1).Type())
	}
	health, message = text(table, "status"), text(table, "message")
	if !slices.Contains(healths, health) {
		return "", "", fmt.Errorf("the script returns the status %q, and not one of %q", health, healths)
	}
	return health, message, nil
}

// text is a field of what a script returned; empty where there is none.
func text(table *lua.LTable, field string) string {
	if word, isString := table.RawGetString(field).(lua.LString); isString {
		return string(word)
	}
	return ""
}

// value is a value of JSON for a script.
func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case float64:
		return lua.LNumber(from)
	case string:
		return lua.LString(from)
	case []any:
		list := state.CreateTable(len(from), 0)
		for _, item := range from {
			list.Append(value(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(from))
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}

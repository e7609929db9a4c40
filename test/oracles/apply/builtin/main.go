// Command builtin plays sequences of applies and updates of built-in kinds, with the types and the schema that the real
// API server has for them, and writes what became of the object after each step. See cases.ts beside it.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

type object = map[string]any

type step struct {
	Op          string `json:"op"`
	Manager     string `json:"manager"`
	Subresource string `json:"subresource"`
	Force       bool   `json:"force,omitempty"`
	Config      object `json:"config,omitempty"`
	Patch       object `json:"patch,omitempty"`
	// What came of it.
	Object  object `json:"object,omitempty"`
	Managed []any  `json:"managed,omitempty"`
	Error   string `json:"error,omitempty"`
}

type sequence struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Steps      []step `json:"steps"`
}

// oneVersion is the converter, defaulter and creater of objects that have one version and no defaults.
type oneVersion struct{ runtime.ObjectConvertor }

func (oneVersion) ConvertToVersion(in runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	if u, ok := in.(*unstructured.Unstructured); ok {
		return typed(u.Object), nil
	}
	return in, nil
}
func (oneVersion) Default(in runtime.Object) {}
func (oneVersion) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	out, err := scheme.Scheme.New(kind)
	if err == nil {
		out.GetObjectKind().SetGroupVersionKind(kind)
	}
	return out, err
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func typed(raw object) runtime.Object {
	gv, err := schema.ParseGroupVersion(raw["apiVersion"].(string))
	must(err)
	out, err := scheme.Scheme.New(gv.WithKind(raw["kind"].(string)))
	must(err)
	text, err := json.Marshal(raw)
	must(err)
	must(json.Unmarshal(text, out))
	return out
}

func untyped(in runtime.Object) object {
	text, err := json.Marshal(in)
	must(err)
	out := object{}
	must(json.Unmarshal(text, &out))
	return out
}

func mergePatch(target, patch object) object {
	for k, v := range patch {
		inner, isObject := v.(map[string]any)
		switch {
		case v == nil:
			delete(target, k)
		case isObject:
			old, ok := target[k].(map[string]any)
			if !ok {
				old = object{}
			}
			target[k] = mergePatch(old, inner)
		default:
			target[k] = v
		}
	}
	return target
}

func main() {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var c sequence
		must(json.Unmarshal(in.Bytes(), &c))
		gv, err := schema.ParseGroupVersion(c.APIVersion)
		must(err)
		gvk := gv.WithKind(c.Kind)
		// Before it is created there is an empty object of the type.
		live := typed(object{"apiVersion": c.APIVersion, "kind": c.Kind})
		for s := range c.Steps {
			step := &c.Steps[s]
			manager, err := managedfields.NewDefaultFieldManager(converter, oneVersion{}, oneVersion{}, oneVersion{}, gvk, gv, step.Subresource, nil)
			must(err)
			var result runtime.Object
			if step.Op == "apply" {
				var config object
				text, err := json.Marshal(step.Config)
				must(err)
				u := &unstructured.Unstructured{}
				must(u.UnmarshalJSON(text))
				config = u.Object
				result, err = manager.Apply(live.DeepCopyObject(), &unstructured.Unstructured{Object: config}, step.Manager, step.Force)
				if err != nil {
					step.Error = err.Error()
					continue
				}
			} else {
				next := mergePatch(untyped(live), runtime.DeepCopyJSON(step.Patch))
				result, err = manager.Update(live, typed(next), step.Manager)
				if err != nil {
					step.Error = err.Error()
					continue
				}
			}
			raw := untyped(result)
			raw["apiVersion"], raw["kind"] = c.APIVersion, c.Kind
			live = typed(raw)
			access, err := meta.Accessor(live)
			must(err)
			// As stored: it has been written before, so it is no longer new.
			access.SetUID(types.UID("u"))
			metadata := raw["metadata"].(map[string]any)
			step.Managed, _ = metadata["managedFields"].([]any)
			delete(metadata, "managedFields")
			for _, entry := range step.Managed {
				delete(entry.(map[string]any), "time")
			}
			step.Object = raw
		}
		must(out.Encode(c))
	}
}

// Command apply plays sequences of applies and updates with the field manager of Kubernetes and writes what became of
// the object after each step. See cases.ts.
package main

import (
	"encoding/json"
	"errors"
	"os"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
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
	Causes  []any  `json:"causes,omitempty"`
}

type sequence struct {
	Reset bool   `json:"reset"`
	Steps []step `json:"steps"`
}

type input struct {
	Root    string                     `json:"root"`
	Schemas map[string]json.RawMessage `json:"schemas,omitempty"`
	Cases   []sequence                 `json:"cases"`
}

// as is the converter, defaulter and creater of objects that have one version and no defaults.
type as struct{}

func (as) Convert(in, out, context any) error { return errors.New("not needed") }
func (as) ConvertToVersion(in runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}
func (as) ConvertFieldLabel(gvk schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
func (as) Default(in runtime.Object) {}
func (as) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	return &unstructured.Unstructured{Object: object{}}, nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func clone(in object) object { return runtime.DeepCopyJSON(in) }

// numbers makes integers of what encoding/json read as floats, as the decoders of Kubernetes do.
func numbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return value
}

// withoutNulls is what decoding into a type would leave.
func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			if v[k] == nil {
				delete(v, k)
			} else {
				v[k] = withoutNulls(v[k])
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return value
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
	var in input
	must(json.NewDecoder(os.Stdin).Decode(&in))
	gvk := schema.GroupVersionKind{Group: "test", Version: "v1", Kind: "Pod"}
	schemas := map[string]*spec.Schema{}
	for name, raw := range in.Schemas {
		s := &spec.Schema{}
		must(json.Unmarshal(raw, s))
		if name == in.Root {
			s.AddExtension("x-kubernetes-group-version-kind", []any{map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}})
		}
		schemas[name] = s
	}
	converter, err := managedfields.NewTypeConverter(schemas, false)
	must(err)

	for c := range in.Cases {
		reset := map[fieldpath.APIVersion]fieldpath.Filter{}
		if in.Cases[c].Reset {
			reset["test/v1"] = fieldpath.NewExcludeSetFilter(fieldpath.NewSet(fieldpath.MakePathOrDie("status")))
		}
		live := object{}
		for s := range in.Cases[c].Steps {
			step := &in.Cases[c].Steps[s]
			manager, err := managedfields.NewDefaultCRDFieldManager(converter, as{}, as{}, as{}, gvk, gvk.GroupVersion(), step.Subresource, reset)
			must(err)
			before := &unstructured.Unstructured{Object: clone(live)}
			if len(live) == 0 {
				before.SetGroupVersionKind(gvk)
			}
			var result runtime.Object
			if step.Op == "apply" {
				config := numbers(clone(step.Config)).(map[string]any)
				result, err = manager.Apply(before, &unstructured.Unstructured{Object: config}, step.Manager, step.Force)
			} else {
				patch := numbers(clone(step.Patch)).(map[string]any)
				next := mergePatch(clone(live), patch)
				next["apiVersion"], next["kind"] = "test/v1", "Pod"
				if next["metadata"] == nil {
					next["metadata"] = object{}
				}
				next["metadata"].(map[string]any)["name"] = "p"
				result, err = manager.Update(before, &unstructured.Unstructured{Object: next}, step.Manager)
			}
			if err != nil {
				step.Error = err.Error()
				var status apierrors.APIStatus
				if errors.As(err, &status) {
					for _, cause := range status.Status().Details.Causes {
						step.Causes = append(step.Causes, map[string]any{"reason": cause.Type, "message": cause.Message, "field": cause.Field})
					}
				}
				continue
			}
			raw := withoutNulls(runtime.DeepCopyJSON(result.(*unstructured.Unstructured).Object)).(map[string]any)
			// As stored: it has been written before, so it is no longer new.
			raw["metadata"].(map[string]any)["uid"] = "u"
			live = clone(raw)
			metadata := raw["metadata"].(map[string]any)
			step.Managed, _ = metadata["managedFields"].([]any)
			delete(metadata, "managedFields")
			delete(metadata, "uid")
			for _, entry := range step.Managed {
				delete(entry.(map[string]any), "time")
			}
			step.Object = raw
		}
	}
	// A line each, so that a case can be looked at, and changes be seen.
	out := json.NewEncoder(os.Stdout)
	for _, c := range in.Cases {
		must(out.Encode(c))
	}
}

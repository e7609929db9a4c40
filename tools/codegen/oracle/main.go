// Prints objects of the built-in kinds in two encodings: JSON, and the protobuf body that client-go would send. What our
// decoder is tested against is its output: see ../record-oracle.ts.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var n int64

// fill sets every field; zero: pointers point to zeros and nothing else is set.
func fill(v reflect.Value, zero bool, depth int) {
	switch x := v.Addr().Interface().(type) {
	case *metav1.Time:
		if !zero {
			n++
			*x = metav1.NewTime(time.Unix(1700000000+n, 0).UTC())
		}
		return
	case *metav1.MicroTime:
		if !zero {
			n++
			*x = metav1.NewMicroTime(time.Unix(1700000000+n, 123456000).UTC())
		}
		return
	case *resource.Quantity:
		if !zero {
			n++
			*x = resource.MustParse(fmt.Sprintf("%dMi", n))
		}
		return
	case *intstr.IntOrString:
		if !zero {
			n++
			if n%2 == 0 {
				*x = intstr.FromInt32(int32(n))
			} else {
				*x = intstr.FromString(fmt.Sprintf("%d%%", n))
			}
		}
		return
	case *runtime.RawExtension:
		if !zero {
			x.Raw = []byte(`{"a":[1,"b",null]}`)
		}
		return
	case *metav1.FieldsV1:
		if !zero {
			x.Raw = []byte(`{"f:spec":{}}`)
		}
		return
	case *metav1.TypeMeta:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			fill(v.Field(i), zero, depth)
		}
	case reflect.Pointer:
		if depth > 12 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), zero, depth+1)
	case reflect.Slice:
		if depth > 12 {
			return
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if !zero {
				v.SetBytes([]byte{0, 1, 2, 253, 254, 255, byte(n)})
			}
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), zero, depth+1)
	case reflect.Map:
		if zero || depth > 12 {
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, zero, depth+1)
		k := reflect.New(v.Type().Key()).Elem()
		k.SetString(fmt.Sprintf("key%d", n))
		v.SetMapIndex(k, e)
	case reflect.String:
		if !zero {
			n++
			v.SetString(fmt.Sprintf("s%d", n))
		}
	case reflect.Bool:
		if !zero {
			v.SetBool(true)
		}
	case reflect.Int32, reflect.Int64:
		if !zero {
			n++
			v.SetInt(n)
		}
	case reflect.Float64:
		if !zero {
			v.SetFloat(1.5)
		}
	}
}

func main() {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, rbacv1.AddToScheme, coordinationv1.AddToScheme, eventsv1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme, autoscalingv1.AddToScheme, policyv1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	p := protobuf.NewSerializer(s, s)
	kinds := strings.Fields(os.Args[1])
	out := json.NewEncoder(os.Stdout)
	for _, k := range kinds {
		parts := strings.Split(k, "|")
		gvk := schema.FromAPIVersionAndKind(parts[0], parts[1])
		for _, mode := range []string{"empty", "zero", "full"} {
			obj, err := s.New(gvk)
			if err != nil {
				panic(err)
			}
			n = 0
			if mode != "empty" {
				fill(reflect.ValueOf(obj).Elem(), mode == "zero", 0)
			}
			obj.GetObjectKind().SetGroupVersionKind(gvk)
			var b bytes.Buffer
			if err := p.Encode(obj, &b); err != nil {
				panic(err)
			}
			j, err := json.Marshal(obj)
			if err != nil {
				panic(err)
			}
			out.Encode(map[string]any{"mode": mode, "json": json.RawMessage(j), "protobuf": b.Bytes()})
		}
	}
}

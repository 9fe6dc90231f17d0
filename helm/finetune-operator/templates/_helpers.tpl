{{- define "finetune.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "finetune.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "finetune.labels" -}}
{{- $own := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_") "app.kubernetes.io/managed-by" .Release.Service -}}
{{- toYaml (merge (include "finetune.selector" . | fromYaml) $own .Values.labels) -}}
{{- end }}

{{- /* The labels of an object that has more of its own: a list of the root and those. */}}
{{- define "finetune.labelsAnd" -}}
{{- toYaml (merge (dict) (index . 1) (include "finetune.labels" (index . 0) | fromYaml)) -}}
{{- end }}

{{- /* Labels and annotations of an object. */}}
{{- define "finetune.metadata" -}}
labels: {{- include "finetune.labels" . | nindent 2 }}
{{- with .Values.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* A root and an image: with the tag of this release, if it names neither tag nor digest. A colon before the last slash is a port. */}}
{{- define "finetune.image" -}}
{{- $image := index . 1 -}}
{{- if or (contains "@" $image) (contains ":" (last (splitList "/" $image))) }}{{ $image }}{{ else }}{{ printf "%s:%s" $image ((index . 0).Chart.AppVersion | replace "+" "_") }}{{ end }}
{{- end }}

{{- define "finetune.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "finetune.name" .) }}
{{- end }}

{{- /* Exactly the calls that the operator makes for jobs; a test compares them with those it was seen to make. */}}
{{- define "finetune.jobRules" -}}
- apiGroups: [finetune.dev]
  resources: [finetunejobs]
  verbs: [get, list, watch, delete]
- apiGroups: [finetune.dev]
  resources: [finetunejobs/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps, services, persistentvolumeclaims]
  verbs: [get, create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "finetune.name" . }}-progress-ca]
  verbs: [patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, create]
{{- end }}

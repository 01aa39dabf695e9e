{{- define "chat-operator.selector" -}}
app.kubernetes.io/name: chat-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chat-operator.labels" -}}
{{ include "chat-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: chatcluster
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Whether the API server asks the operator for metrics; empty for no. Releases from before there was such a value have none. */}}
{{- define "chat-operator.serves-metrics" -}}
{{- if or (.Values.customMetrics).enabled (.Values.loadMetrics).enabled }}true{{ end }}
{{- end }}

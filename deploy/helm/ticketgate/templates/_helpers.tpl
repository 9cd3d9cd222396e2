{{/* Labels that never change: selectors use them. */}}
{{- define "ticketgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ticketgate.labels" -}}
{{ include "ticketgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "ticketgate.name" -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

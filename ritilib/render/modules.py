"""The Asterisk modules of each image: the same list decides what the image holds and what modules.conf loads.

A module that is absent fails in silence (a missing application just ends the call), so nothing is loaded by
itself, and whatever a dial plan uses must stand here. Names are the files' names without ".so", in the order
of loading: a module after those that it needs.
"""

from __future__ import annotations

PBX_MODULES: tuple[str, ...] = (
    # what others stand on; without a timing source a trunk or a playback is silent
    "res_timing_timerfd",
    "res_crypto",
    # codecs and files
    "codec_ulaw",
    "codec_alaw",
    "codec_a_mu",
    "codec_gsm",
    "codec_g722",
    "codec_resample",
    "format_gsm",
    "format_pcm",
    # call records
    "res_cdrel_custom",
    "cdr_custom",
    # bridges
    "bridge_simple",
    "bridge_builtin_features",
    "bridge_holding",
    "bridge_softmix",
    # functions of the dial plan; ExecIf is in app_exec
    "func_callerid",
    "func_cdr",
    "func_channel",
    "func_devstate",
    "func_env",
    "func_global",
    "func_groupcount",
    "func_hangupcause",
    "func_logic",
    "func_math",
    "func_strings",
    "func_timeout",
    # applications of the dial plan
    "app_dial",
    "app_exec",
    "app_playback",
    "app_playtones",
    "app_read",
    "app_stack",
    "app_verbose",
    # the way in: last, so that no call arrives before the rest is there
    "pbx_config",
    "chan_iax2",
)

_BOX_ADDITIONS: tuple[str, ...] = (
    "app_softhangup",
    "app_voicemail",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_pjproject",
    "res_rtp_asterisk",
    "res_pjsip",
    "res_pjsip_acl",
    "res_pjsip_authenticator_digest",
    "res_pjsip_caller_id",
    "res_pjsip_dtmf_info",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_logger",
    "res_pjsip_nat",
    "res_pjsip_registrar",
    "res_pjsip_pubsub",
    "res_pjsip_mwi",
    "res_pjsip_mwi_body_generator",
    "res_pjsip_session",
    "res_pjsip_diversion",
    "res_pjsip_header_funcs",
    "res_pjsip_rfc3326",
    "res_pjsip_sdp_rtp",
    "chan_pjsip",
    "func_pjsip_aor",
    "func_pjsip_contact",
    "func_pjsip_endpoint",
)

BOX_MODULES: tuple[str, ...] = PBX_MODULES + _BOX_ADDITIONS

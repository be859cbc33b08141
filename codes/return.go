package codes

// ReturnOK is the RETURN_CODE of every answer of POST /push, whether or not anything was sent. Source: seed 003.
const ReturnOK = "0000"

// ReturnMsgOK is the RETURN_MSG of an accepted push.
const ReturnMsgOK = "ok"

// ReturnMsg is the RETURN_MSG for err: ReturnMsgOK for nil, else what was wrong and that nothing was sent.
func ReturnMsg(err error) string {
	if err == nil {
		return ReturnMsgOK
	}
	return Of(err).Msg + "; nothing was sent"
}

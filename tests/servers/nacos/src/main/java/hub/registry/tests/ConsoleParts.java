package hub.registry.tests;

import com.alibaba.nacos.api.annotation.NacosApi;
import com.alibaba.nacos.api.exception.api.NacosApiException;
import com.alibaba.nacos.api.model.v2.ErrorCode;
import com.alibaba.nacos.api.model.v2.Result;
import com.alibaba.nacos.plugin.auth.exception.AccessException;
import com.alibaba.nacos.sys.module.ModuleState;
import com.alibaba.nacos.sys.module.ModuleStateHolder;
import java.util.HashMap;
import java.util.Map;
import org.springframework.core.annotation.Order;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.MissingServletRequestParameterException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.bind.annotation.RestControllerAdvice;

/**
 * What a client can see of Nacos' console module, which is not republished: the server's state (its
 * version) and the answers to refused calls.
 */
final class ConsoleParts {

  private ConsoleParts() {}

  /** GET /v1/console/server/state: how clients learn the version. */
  @RestController
  static class ServerState {

    @GetMapping("/v1/console/server/state")
    Map<String, String> state() {
      Map<String, String> answer = new HashMap<>();
      for (ModuleState module : ModuleStateHolder.getInstance().getAllModuleStates()) {
        module.getStates().forEach((key, value) -> answer.put(key, value == null ? null : value.toString()));
      }
      return answer;
    }
  }

  /** Refused by the permissions: 403. Without this the status would be 0, which no client can read. */
  @RestControllerAdvice
  @Order(0)
  static class Refusals {

    @ExceptionHandler(AccessException.class)
    ResponseEntity<String> refused(AccessException refusal) {
      return ResponseEntity.status(HttpStatus.FORBIDDEN).body(refusal.getErrMsg());
    }
  }

  /** The same for the v2 API, whose errors are JSON with a code of their own. */
  @RestControllerAdvice(annotations = NacosApi.class)
  @Order(-1)
  static class RefusalsV2 {

    @ExceptionHandler(AccessException.class)
    ResponseEntity<Result<String>> refused(AccessException refusal) {
      return ResponseEntity.status(HttpStatus.FORBIDDEN)
          .body(Result.failure(ErrorCode.ACCESS_DENIED, refusal.getErrMsg()));
    }

    @ExceptionHandler(NacosApiException.class)
    ResponseEntity<Result<String>> failed(NacosApiException failure) {
      return ResponseEntity.status(failure.getErrCode())
          .body(
              new Result<>(
                  failure.getDetailErrCode(), failure.getErrAbstract(), failure.getErrMsg()));
    }

    @ExceptionHandler(MissingServletRequestParameterException.class)
    ResponseEntity<Result<String>> incomplete(MissingServletRequestParameterException failure) {
      return ResponseEntity.badRequest()
          .body(Result.failure(ErrorCode.PARAMETER_MISSING, failure.getMessage()));
    }
  }
}
